# clickhouse-connect: ClickHouse over HTTP. What it has in Cython makes columns faster.
version=1.12.0
licence=Apache-2.0
sources="pypi clickhouse_connect-1.12.0.tar.gz 532fdf3c8784eab7ea213a3bbee04218c60f28211b4101d80f90bb1c91cd66c2"

build() {
  local module
  for module in buffer dataconv; do # npconv needs numpy
    cython "clickhouse_connect/driverc/$module.pyx"
    extension "clickhouse_connect.driverc.$module" -- "clickhouse_connect/driverc/$module.c"
  done
  python_files clickhouse_connect
}
