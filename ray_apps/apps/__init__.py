"""The served apps: their deployments and their HTTP APIs, one module an app."""
