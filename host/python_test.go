package host

import (
	"encoding/json"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/catalog"
)

// evaluator answers with what an expression gives, or the name of its exception.
const evaluator = `
import asyncio, builtins, email.utils, errno, fcntl, gc, getpass, grp, locale, os, pathlib, pwd, resource, shutil, socket
import io, sqlite3, tarfile, tempfile, time, urllib.request

def fails(call):
    try:
        call()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

async def soon(value):
    await asyncio.sleep(0)
    return value


def locks():
    path = os.path.join(tempfile.mkdtemp(), "db")
    one, two = sqlite3.connect(path, timeout=0.1), sqlite3.connect(path, timeout=0.1)
    one.execute("create table t(i)")
    one.executemany("insert into t values (?)", [(i,) for i in range(1000)])
    one.commit()
    reading = one.execute("select i from t")
    next(reading)
    got = [two.execute("select count(*) from t").fetchone()[0]]
    reading.close()
    one.execute("insert into t values (1)")
    got.append(two.execute("select count(*) from t").fetchone()[0])
    got.append(fails(lambda: two.execute("insert into t values (1)")))
    one.commit()
    got.append(two.execute("select count(*) from t").fetchone()[0])
    return got

def unpacked():
    folder, archive = tempfile.mkdtemp(), io.BytesIO()
    member = tarfile.TarInfo("file")
    member.uid = member.gid = 1000
    member.mode, member.mtime = 0o755, 86400
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(member)
    archive.seek(0)
    tarfile.open(fileobj=archive).extractall(folder)
    made = os.stat(os.path.join(folder, "file"))
    return [oct(made.st_mode), int(made.st_mtime)]

def computed():
    cpu, ticks, wall = time.process_time(), os.times().user, time.monotonic()
    time.sleep(0.3)
    slept = time.process_time() - cpu
    while time.process_time() - cpu < 0.2 + slept:
        pass
    return [slept < 0.25, 0.1 < os.times().user - ticks < 2, time.monotonic() - wall >= 0.5]

class Thing:
    def method(self): pass

def handler(event, context):
    return eval(event)
`

// What scripts for Linux touch without thinking works, or says what is missing.
func TestPython_HasWhatScriptsForLinuxTouch(t *testing.T) {
	h := newTestHost(t, Config{})
	database, err := os.ReadFile("testdata/shipped.db")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"main.py": {Data: []byte(evaluator)}, "shipped.db": {Data: database}}
	h.deployFiles("eval", files, catalog.VersionSpec{Timeout: time.Minute, Environment: map[string]string{"TZ": "Europe/Moscow"}})
	for expression, want := range map[string]string{
		// Names and addresses.
		`socket.gethostname()`: `"localhost"`,
		`socket.getfqdn()`:     `"localhost"`,
		`email.utils.make_msgid().endswith("@localhost>")`:                                               `true`,
		`socket.gethostbyname("127.0.0.1")`:                                                              `"127.0.0.1"`,
		`socket.gethostbyname_ex("10.1.2.3")`:                                                            `["10.1.2.3", ["10.1.2.3"], ["10.1.2.3"]]`,
		`socket.gethostbyaddr("127.0.0.1")[0]`:                                                           `"localhost"`,
		`socket.gethostbyaddr("10.1.2.3")[0]`:                                                            `"10.1.2.3"`,
		`fails(lambda: socket.gethostbyname("example.org"))`:                                             `"PermissionError: [Errno 2] example.org: the function has no network; --allow-net=example.org would allow it"`,
		`socket.getnameinfo(("127.0.0.1", 80), 0)`:                                                       `["localhost", "http"]`,
		`socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)`:                                   `["127.0.0.1", "http"]`,
		`socket.getaddrinfo("1.2.3.4", "https", type=socket.SOCK_STREAM)[0][4]`:                          `["1.2.3.4", 443]`,
		`[a[4] for a in socket.getaddrinfo("::1", 80, type=socket.SOCK_STREAM)]`:                         `[["::1", 80, 0, 0]]`,
		`fails(lambda: socket.getaddrinfo("no.number", 80, flags=socket.AI_NUMERICHOST))[:8]`:            `"gaierror"`,
		`(lambda l: l.run_until_complete(l.getaddrinfo("1.2.3.4", 80)))(asyncio.new_event_loop())[0][4]`: `["1.2.3.4", 80]`,
		`[type(getattr(socket, n)).__name__ for n in ("AF_UNIX", "AI_NUMERICSERV", "SO_KEEPALIVE")]`:     `["AddressFamily", "AddressInfo", "int"]`,
		`socket.inet_ntoa(socket.inet_aton("1.2.3.4"))`:                                                  `"1.2.3.4"`,
		`fails(lambda: urllib.request.urlopen("https://example.org"))`:                                   `"URLError: <urlopen error [Errno 2] example.org: the function has no network; --allow-net=example.org would allow it>"`,

		// Time.
		`time.strftime("%Z", (2020, 1, 1, 0, 0, 0, 2, 1, 0))`:                               `"MSK"`,
		`time.strftime("%H:%M %Z", time.localtime(0))`:                                      `"03:00 MSK"`,
		`[time.tzname[0], time.timezone]`:                                                   `["MSK", -10800]`,
		`__import__("datetime").datetime.fromtimestamp(0).hour`:                             `3`,
		`__import__("datetime").datetime.fromtimestamp(0).astimezone().utcoffset().seconds`: `10800`,
		`[os.environ.update(TZ="EST+5EDT,M3.2.0,M11.1.0"), time.tzset(), time.localtime(1e9).tm_hour, time.tzname, os.environ.update(TZ="Europe/Moscow"), time.tzset()][2:4]`: `[21, ["EST", "EDT"]]`,
		`time.get_clock_info("thread_time").monotonic`: `true`,
		`computed()`: `[true, true, true]`,

		// What an image holds is there for the collector's inquiries.
		`[one.__name__ for one in gc.get_referrers(Thing.method.__code__) if type(one) is type(handler)]`:                         `["method"]`,
		`[Thing in gc.get_referrers(Thing.__dict__["method"], 1), gc.get_referrers(), gc.get_referrers(object())]`:                `[false, [], []]`,
		`(lambda kept: [kept in gc.get_referrers(kept[0]), any(one is kept for one in gc.get_objects(generation=0))])([["new"]])`: `[true, true]`,
		`[any(one is Thing for one in gc.get_objects(*which)) for which in ((), (0,), (2,))]`:                                     `[true, false, false]`,
		`fails(lambda: gc.get_objects(3))`: `"ValueError: generation parameter must be less than the number of available generations (3)"`,

		// Users, processes, files.
		`[os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getppid()]`:                      `[0, 0, 0, 0, 0]`,
		`[pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name, getpass.getuser()]`: `["root", "root", "root"]`,
		`str(pathlib.Path.home())`:           `"/tmp"`,
		`[os.umask(0o077), os.umask(0o022)]`: `[18, 63]`,
		`os.cpu_count()`:                     `1`,
		`len(os.sched_getaffinity(0))`:       `1`,
		`(lambda r, w: (os.write(w, b"through"), os.read(r, 9).decode()))(*os.pipe())`:                                                `[7, "through"]`,
		`(lambda r, w, s: [s([w], [], [], 0)[0], os.close(r), s([w], [], [], 0)[0] == [w]])(*os.pipe(), __import__("select").select)`: `[[], null, true]`,
		`fails(lambda: os.system("true"))`: `"OSError: [Errno 52] no program can be started on this platform"`,
		`shutil.disk_usage("/tmp").total`:  `536870912`,
		`[shutil.disk_usage("/tmp").free for _ in [open("/tmp/mb", "wb").write(bytes(1 << 20))]][0] <= 511 << 20`: `true`,
		// Nothing has an empty name.
		`sorted({fails(lambda: call("")).split(":")[0] for call in (open, os.stat, os.lstat, os.listdir, os.scandir, os.chdir, os.mkdir, os.rmdir,
			os.unlink, os.readlink, os.statvfs, os.utime, lambda p: os.chmod(p, 0o600), lambda p: os.truncate(p, 0), lambda p: os.rename(p, "/tmp/x"),
			lambda p: os.rename("/tmp", p), lambda p: os.open(p, os.O_CREAT | os.O_RDWR))})`: `["FileNotFoundError"]`,
		`[os.access("", os.F_OK), os.path.exists(""), sorted(os.listdir()) == sorted(os.listdir("."))]`:                                              `[false, false, true]`,
		`fails(lambda: shutil.disk_usage("/none")).split(":")[0]`:                                                                                    `"FileNotFoundError"`,
		`fcntl.flock(open("/tmp/lock", "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)`:                                                                         `null`,
		`fails(lambda: fcntl.flock(-1, fcntl.LOCK_EX))`:                                                                                              `"ValueError: file descriptor cannot be a negative integer (-1)"`,
		`fails(lambda: fcntl.fcntl("file", fcntl.F_GETFL))`:                                                                                          `"TypeError: argument must be an int, or have a fileno() method."`,
		`[fails(lambda: call(3.14)).split(":")[0] for call in (grp.getgrgid, pwd.getpwuid)]`:                                                         `["TypeError", "TypeError"]`,
		`[fails(lambda: call(42)).split(":")[0] for call in (grp.getgrnam, pwd.getpwnam)]`:                                                           `["TypeError", "TypeError"]`,
		`[fails(lambda: os.chown("/tmp", *owner)).split(":")[0] for owner in ((0, -1.0), ("0", 0))]`:                                                 `["TypeError", "TypeError"]`,
		`[os.chown("/tmp", 1000, 1000), os.stat("/tmp").st_uid, fails(lambda: os.chown("/none", 0, 0))[:17], os.chown is __import__("posix").chown]`: `[null, 0, "FileNotFoundError", true]`,
		`unpacked()`: `["0o100755", 86400]`,
		`[os.symlink("/none", "/tmp/link"), fails(lambda: os.chmod("/tmp/link", 0o600, follow_symlinks=False))][1]`:                                                  `"NotImplementedError: chmod: follow_symlinks unavailable on this platform"`,
		`[os.mkdir("/tmp/tree"), os.symlink("/none", "/tmp/tree/link"), shutil.copytree("/tmp/tree", "/tmp/copy", symlinks=True), os.readlink("/tmp/copy/link")][3]`: `"/none"`,
		`os.statvfs("/tmp").f_fsid`:                                                           `0`,
		`fails(lambda: os.chmod(b"/tmp/none", 0o600))`:                                        `"FileNotFoundError: [Errno 44] No such file or directory: b'/tmp/none'"`,
		`fails(lambda: os.statvfs("/none"))`:                                                  `"FileNotFoundError: [Errno 44] No such file or directory: '/none'"`,
		`fails(lambda: fcntl.lockf(1000, fcntl.LOCK_EX))`:                                     `"OSError: [Errno 8] Bad file descriptor"`,
		`resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 10000`:                          `true`,
		`all(hasattr(builtins, n) for n in ("copyright", "exit", "help", "license", "quit"))`: `true`,

		// Text.
		`[locale.getencoding().lower(), time.strftime("%Y год, 年", time.gmtime(0))]`: `["utf-8", "1970 \u0433\u043e\u0434, \u5e74"]`,

		// asyncio's own loops.
		`asyncio.run(soon(1), loop_factory=asyncio.EventLoop)`:                          `1`,
		`asyncio.SelectorEventLoop().run_until_complete(soon(1))`:                       `1`,
		`asyncio.DefaultEventLoopPolicy().new_event_loop().run_until_complete(soon(1))`: `1`,
		`asyncio.SelectorEventLoop().run_until_complete(asyncio.wait_for(soon(1), 5))`:  `1`,

		// Databases.
		`locks()`: `[1000, 1000, "OperationalError: database is locked", 1001]`,
		`sqlite3.connect("file:/function/code/shipped.db?mode=ro", uri=True).execute("select i from t").fetchall()`: `[[1], [2], [3]]`,
		`sqlite3.connect("/function/code/shipped.db").execute("select i from t").fetchall()`:                        `[[1], [2], [3]]`,
	} {
		body, err := json.Marshal(expression)
		if err != nil {
			t.Fatal(err)
		}
		h.want("eval", string(body), want)
	}
}
