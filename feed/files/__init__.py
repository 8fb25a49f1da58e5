"""Quotes in files: CSV, DBN and Parquet, here and in S3, read and written."""
