"""Names that vulture takes for unused, because a library reads them; each group says which."""
# ruff: noqa: B018, F821
# mypy: ignore-errors

_.thread_type  # PyAV and FFmpeg read what is set on codecs and frames
_.thread_count
_.color_primaries
_.color_trc
_.colorspace
_.color_range
_.sample_rate

_.isolation_level  # sqlite3 reads it from a connection

_.impl  # SQLAlchemy reads these of types and of the declarative base
_.cache_ok
_.process_bind_param
_.process_result_value
_.type_annotation_map

_.down_revision  # Alembic reads it of a migration

_.thumbnail  # read by their names when outputs are listed
_.gpu_plot
_.denoise_steps  # parameters of tests only, read by their names
_.half_precision
_.seg_prompt

_.framerate  # PyAV reads it of a codec

_.redirect_request  # urllib and http.server call these
_.http_error_308
_.log_message
_.do_HEAD
_.do_GET
_.do_POST
_.daemon_threads

_.base_url  # docker's SDK, urllib3 and paramiko read or call these of our adapters
_._version
_._new_conn
_.ssh_client
_.get_connection
_.proxies
_.missing_host_key
_.cosmos_jump  # keeps what it names alive
_.ciphers
_.auth_timeout
_.banner_timeout
_.read_ready

_.retry_delay_seconds  # Prefect reads it of a task
