# pandas: tables and time series. Without pyarrow, text is kept as objects.
version=3.1.1
licence="BSD-3-Clause"
sources="
  pypi pandas-3.1.1.tar.gz 05fed3e3b7c99b226f160e29d7d6cb7ef39638c758cbfe42b3f24ba34f04b859
  pypi meson-1.9.2-py3-none-any.whl 1a284dc1912929098a6462401af58dc49ae3f324e94814a38a8f1020cee07cba"
science=yes
uses=meson.sh
needs=numpy

# without_missing_modules: the guest has neither mmap nor ctypes, of which pandas imports
# both, to use one for read_csv(memory_map=True) and the other on Windows.
without_missing_modules() {
  cat >util/_mmap.py <<'PYTHON'
ACCESS_READ = 1


class mmap:
    def __init__(self, *args, **kwargs):
        raise OSError("files can't be mapped into memory here")
PYTHON
  sed -i 's/^import mmap$/from pandas.util import _mmap as mmap/' io/common.py io/parsers/readers.py io/excel/_openpyxl.py
  sed -i '/^import ctypes$/d; s/^\( *\)\(message += f" ({ctypes\|ctypes_type = \).*/\1import ctypes\n&/' \
    errors/__init__.py core/interchange/from_dataframe.py
}

# without_tzset: what pandas takes from _strptime sets the time zone, which is set
# already, and that reads the clock, as an import must not that is to be frozen. It goes
# without where there is no such function.
without_tzset() {
  sed -i '1i\import time\n\n_tzset = time.__dict__.pop("tzset")' _libs/tslibs/__init__.py
  printf '\ntime.tzset = _tzset\n' >>_libs/tslibs/__init__.py
}

build() {
  # The archive tells its version; only a repository has to be asked.
  printf 'print("%s")\n' "$version" >generate_version.py
  # It has functions of numpy's, as they once were.
  local datetime=(pandas/_libs/src/datetime/*.c pandas/_libs/{src,include/pandas}/vendored/numpy/datetime/*.[ch])
  perl -pi -e 's/(?<!>)\b(is_leapyear|add_minutes_to_datetimestruct|get_datetimestruct_days|get_datetime_metadata_from_dtype)\b/pandas_$1/g' \
    "${datetime[@]}"
  meson_build "$work/meson"
  (cd "$work/installed/site/pandas" && without_missing_modules && without_tzset)
  python_files "$work"/installed/site/pandas
}
