"""Meter reading: predictors that find a meter's display and read its digits, and the logic around them, such as whether
a reading is plausible among the earlier ones of its meter. No Ray, no files of a job, no training."""
