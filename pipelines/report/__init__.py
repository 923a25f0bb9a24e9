"""The report of a job, `report.html`: `job_report` writes it, each reader adds its own part."""
