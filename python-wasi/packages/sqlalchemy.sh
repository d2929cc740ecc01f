# SQLAlchemy: what it has in Cython is in Python files, which stay.
version=2.1.9
licence=MIT
sources="pypi sqlalchemy-2.1.9.tar.gz d700a8b2edfb26282a470333d6bc4a454c4acda4d201a3bea7b72fa76c217d28"

build() {
  local module
  cd lib
  for module in engine._{processors,row,result,util}_cy sql._{cache_key,util}_cy util._{collections,immutabledict}_cy; do
    cython "sqlalchemy/${module//.//}.py"
    extension "sqlalchemy.$module" -- "sqlalchemy/${module//.//}.c"
  done
  cd ..
  python_files lib/sqlalchemy
}
