"""Where lists and events are kept: SQLite and PostgreSQL by one dialect of SQL, Redis, Parquet and CSV files.

database by URL, transactions, errors      _database.py
lists: a place by URL, whole or absent     _lists.py
"""
