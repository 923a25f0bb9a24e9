"""Asynchronous jobs: long documents read page by page, their results in storage that outlives the server.

`record` is a job's card, `store` keeps jobs in a folder or bucket, `runner` reads them: plain asyncio, which knows
neither Ray nor how a page is read. `replica` and `routes` put the runner into Serve and on HTTP.
"""
