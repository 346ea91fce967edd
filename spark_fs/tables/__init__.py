"""The offline store: a group's table, external tables, frames and the files of datasets."""
