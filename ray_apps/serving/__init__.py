"""What served apps share: requests in, answers out, deployments between. An app (`ray_apps/apps/documents.py`) composes
these; nothing here knows which stages a reader has. The doors that people start live one folder up.
"""
