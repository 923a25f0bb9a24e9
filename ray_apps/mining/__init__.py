"""Mining: the lines of a bulk run that are most worth a person's look, and the folder in which they are labelled.

Here the records of `pipelines` meet the data sets of `trainers`, which do not know each other. No torch, no Ray.
"""
