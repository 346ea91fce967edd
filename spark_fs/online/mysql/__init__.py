"""The online store in MySQL or MariaDB."""
