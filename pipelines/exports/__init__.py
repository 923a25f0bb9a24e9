"""Exports: what committed records are written as, beside Parquet. `export` writes them; a format is one module."""
