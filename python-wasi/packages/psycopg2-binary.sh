# psycopg2-binary: the name under which most functions ask for psycopg2.
version=2.9.13
licence="LGPL-3.0-or-later WITH openssl-exception"
sources=""

get_package_sources() { first_source=$here/packages/psycopg2-binary; }

build() { :; }
