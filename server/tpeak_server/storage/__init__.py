"""Tables and SQL: the only place that knows PostgreSQL."""
