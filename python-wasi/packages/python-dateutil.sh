# dateutil: dates, of pandas and boto3, which asks for this release.
version=2.9.0.post0
licence="Apache-2.0 OR BSD-3-Clause"
sources="pypi python_dateutil-2.9.0.post0-py2.py3-none-any.whl a8b2bc7bffae282281c8140a97d3aa9c14da0b136dfe83f850eea9a5f7470427"

# The system's zones are of a newer format than this release reads. And it looks at the
# clock when it is imported, as what is frozen must not.
build() {
  sed -i '/^    TZPATHS = \["/,/\]/c\    TZPATHS = []' dateutil/tz/tz.py
  sed -i '/self\._year = time/d; /self\._century = self\._year/d; s/self\._century/self._year \/\/ 100 * 100/
    /^    def validate(self, res):/i\    _year = property(lambda self: time.localtime().tm_year)\n' dateutil/parser/_parser.py
  python_files dateutil
}
