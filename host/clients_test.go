package host

import (
	"compress/gzip"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/catalog"
)

// installed returns the files of the packages that a file of testdata/clients names.
func installed(t testing.TB, requirements string) fstest.MapFS {
	t.Helper()
	dir := t.TempDir()
	pip := exec.Command("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
		"--only-binary", ":all:", "--platform", "any", "--no-compile", "--target", dir, "--requirement", filepath.Join("testdata", "clients", requirements))
	if out, err := pip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := fstest.MapFS{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// webServer is what clients talk to.
func webServer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/here", http.StatusFound)
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte("unpacked"))
		_ = z.Close()
	case "/chunks":
		for n := range 3 {
			fmt.Fprint(w, n)
			w.(http.Flusher).Flush()
		}
	case "/stalls":
		<-r.Context().Done()
	case "/who":
		fmt.Fprint(w, r.RemoteAddr)
	case "/me":
		for _, c := range r.TLS.PeerCertificates {
			fmt.Fprint(w, c.Subject.Organization)
		}
	default:
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}
}

// The released clients work as they are.
func TestClients_HTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(webServer))
	t.Cleanup(plain.Close)
	secure, authority := tlsServer(t, &tls.Config{ClientAuth: tls.RequestClientCert})
	own, key := certificate(t)
	secure.Config.Handler = http.HandlerFunc(webServer)
	files := installed(t, "http.txt")
	files["ca.pem"] = &fstest.MapFile{Data: []byte(authority)}
	files["own.pem"], files["key.pem"] = &fstest.MapFile{Data: []byte(own)}, &fstest.MapFile{Data: []byte(key)}
	files["main.py"] = &fstest.MapFile{Data: []byte(`
import asyncio, ssl
import aiohttp, httpx, requests, urllib3

AUTHORITY = "/function/code/ca.pem"
context = ssl.create_default_context(cafile=AUTHORITY)
session = requests.Session()
session.verify = AUTHORITY
pool = urllib3.PoolManager(ssl_context=context)
client = httpx.Client(verify=context, follow_redirects=True)

async def together(base, count):
    async with httpx.AsyncClient(verify=context) as c:
        return [a.text for a in await asyncio.gather(*(c.get(f"{base}/{n}") for n in range(count)))]

async def aio(url, method="GET", **named):
    global kept # by the loop, which lasts from call to call as the session does
    kept = kept or aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
    async with kept.request(method, url, **named) as answer:
        return await answer.text()

async def aio_timeout(url):
    try:
        return await aio(url, timeout=aiohttp.ClientTimeout(total=0.2))
    except TimeoutError as error:
        return type(error).__name__

async def aio_together(base, count):
    return await asyncio.gather(*(aio(f"{base}/{n}") for n in range(count)))

async def aio_stranger(url):
    try:
        async with aiohttp.ClientSession() as session:
            return await (await session.get(url)).text()
    except aiohttp.ClientConnectorCertificateError as error:
        return type(error).__name__

def own():
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.load_cert_chain("/function/code/own.pem", "/function/code/key.pem")
    return context

def pinned(url, fingerprint):
    with urllib3.PoolManager(cert_reqs="CERT_NONE", assert_fingerprint=fingerprint, retries=False) as pool:
        return pool.request("GET", url).data.decode()

def wait(awaitable):
    return asyncio.get_event_loop().run_until_complete(awaitable)

kept = None

def refused(call, *args, **named):
    try:
        call(*args, **named)
    except Exception as error:
        return type(error).__name__, str(error)

def handler(event, context):
    return eval(event["value"])
`)}
	h := netHost(t)
	h.deployFiles("clients", files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MemoryMB: 256})
	base := fmt.Sprintf("https://127.0.0.1:%d", secure.Listener.Addr().(*net.TCPAddr).Port)
	pin := fmt.Sprintf("%x", sha256.Sum256(secure.Certificate().Raw))
	// A connection is kept from one call to the next.
	for _, who := range []string{`session.get("` + base + `/who").text`, `pool.request("GET", "` + base + `/who").data.decode()`,
		`client.get("` + base + `/who").text`, `wait(aio("` + base + `/who"))`} {
		if first, second := h.eval("clients", "", who), h.eval("clients", "", who); first != second || !strings.HasPrefix(first, `"127.0.0.1:`) {
			t.Errorf("%s: %s, then %s", who, first, second)
		}
	}
	for _, c := range []struct{ value, want string }{
		{`requests.get("` + plain.URL + `/a").text`, `"GET /a"`},
		{`session.get("` + base + `/moved").text`, `"GET /here"`},
		{`[session.get("` + base + `/gzip").text, session.get("` + base + `/chunks").text]`, `["unpacked", "012"]`},
		{`session.post("` + base + `/b", json={"c": 1}).text`, `"POST /b"`},
		{`refused(session.get, "` + base + `/stalls", timeout=0.2)[0]`, `"ReadTimeout"`},
		{`refused(requests.get, "` + base + `/d")[0]`, `"SSLError"`},
		{`"--allow-net=example.org would allow it" in refused(requests.get, "http://example.org/")[1]`, `true`},
		{`pool.request("GET", "` + base + `/gzip").data.decode()`, `"unpacked"`},
		{`[client.get("` + base + `/moved").text, client.get("` + base + `/gzip").text]`, `["GET /here", "unpacked"]`},
		{`refused(client.get, "` + base + `/stalls", timeout=0.2)[0]`, `"ReadTimeout"`},
		{`asyncio.run(together("` + base + `", 5))`, `["GET /0", "GET /1", "GET /2", "GET /3", "GET /4"]`},
		{`wait(aio("` + plain.URL + `/a"))`, `"GET /a"`},
		{`[wait(aio("` + base + `" + path)) for path in ("/moved", "/gzip", "/chunks")]`, `["GET /here", "unpacked", "012"]`},
		{`wait(aio("` + base + `/b", "POST", data={"c": "1"}))`, `"POST /b"`},
		{`wait(aio_timeout("` + base + `/stalls"))`, `"TimeoutError"`},
		{`wait(aio_together("` + base + `", 3))`, `["GET /0", "GET /1", "GET /2"]`},
		{`wait(aio_stranger("` + base + `"))`, `"ClientConnectorCertificateError"`},
		// Client certificates and pinned ones.
		{`[session.get("` + base + `/me").text, client.get("` + base + `/me").text]`, `["", ""]`},
		{`requests.get("` + base + `/me", verify=AUTHORITY, cert=("/function/code/own.pem", "/function/code/key.pem")).text`, `"[Acme Co]"`},
		{`httpx.Client(verify=own()).get("` + base + `/me").text`, `"[Acme Co]"`},
		{`wait(aio("` + base + `/me", ssl=own()))`, `"[Acme Co]"`},
		{`pinned("` + base + `/a", "` + pin + `")`, `"GET /a"`},
		{`refused(pinned, "` + base + `/a", "` + strings.Repeat("00", 32) + `")[0]`, `"SSLError"`},
		{`wait(aio("` + base + `/a", ssl=aiohttp.Fingerprint(bytes.fromhex("` + pin + `"))))`, `"GET /a"`},
	} {
		if got := h.eval("clients", "", c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
	h.wantFrozen("clients")
}

// check has a function evaluate expressions, whose values are wanted.
func (h *testHost) check(name string, values ...[2]string) {
	h.t.Helper()
	for _, v := range values {
		if got := h.eval(name, "", v[0]); got != v[1] {
			h.t.Errorf("%s: got %s, want %s", v[0], got, v[1])
		}
	}
}

// client deploys a function that has packages, and evaluates expressions.
func (h *testHost) client(name, requirements, authority, source string, environment map[string]string) {
	h.t.Helper()
	files := installed(h.t, requirements)
	files["ca.pem"] = &fstest.MapFile{Data: []byte(authority)}
	files["main.py"] = &fstest.MapFile{Data: []byte(source + `
def handler(event, context):
    return eval(event["value"])
`)}
	h.deployFiles(name, files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MemoryMB: 512, Environment: environment})
}

func TestClients_Databases(t *testing.T) {
	authority, key := certificate(t)
	postgres, maria, redis := startPostgreSQL(t, authority, key), startMariaDB(t, authority, key), startRedis(t)
	h := netHost(t)
	h.client("databases", "data.txt", authority, `
import asyncio, os, ssl
import aiomysql, pg8000.dbapi, pg8000.native, pg_purepy, pymysql, redis, redis.asyncio

PG, MARIA, REDIS = (int(os.environ[name]) for name in ("PG", "MARIA", "REDIS"))
context = ssl.create_default_context(cafile="/function/code/ca.pem")
kept = {}

def keep(name, make):
    if name not in kept:
        kept[name] = make()
    return kept[name]

def postgres():
    db = keep("pg", lambda: pg8000.native.Connection("vivarium", host="127.0.0.1", port=PG, database="postgres", password="secret", ssl_context=context))
    db.run("CREATE TEMPORARY TABLE IF NOT EXISTS t (id serial, name text, data jsonb)")
    db.run("INSERT INTO t (name, data) VALUES (:name, :data)", name="ключ", data='{"a": [1, 2]}')
    (tls,), = db.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    return [tls, *db.run("SELECT id, name, data FROM t ORDER BY id DESC LIMIT 1")[0]]

def transaction():
    with pg8000.dbapi.connect("vivarium", host="127.0.0.1", port=PG, database="postgres", password="secret", ssl_context=context) as db:
        cursor = db.cursor()
        cursor.execute("CREATE TEMPORARY TABLE n (v int)")
        cursor.executemany("INSERT INTO n VALUES (%s)", [(n,) for n in range(100)])
        db.commit()
        cursor.execute("DELETE FROM n")
        db.rollback()
        cursor.execute("SELECT sum(v) FROM n")
        return cursor.fetchone()

def wrong_password():
    try:
        pg8000.native.Connection("vivarium", host="127.0.0.1", port=PG, database="postgres", password="wrong", ssl_context=context)
    except pg8000.native.DatabaseError as error:
        return error.args[0]["C"]

async def postgres_async():
    async with pg_purepy.open_database_connection("127.0.0.1", "vivarium", port=PG, password="secret", database="postgres", ssl_context=context) as db:
        row = await db.fetch_one("SELECT $1::int + 1, $2::text", 41, "a")
        return list(row.data)

def maria():
    db = keep("maria", lambda: pymysql.connect(host="127.0.0.1", port=MARIA, user="root", database="test", ssl=context, autocommit=True))
    with db.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        version = cursor.fetchone()[1]
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS t (id int AUTO_INCREMENT PRIMARY KEY, name text) CHARACTER SET utf8mb4")
        cursor.execute("INSERT INTO t (name) VALUES (%s)", ("ключ",))
        cursor.execute("SELECT id, name FROM t ORDER BY id DESC LIMIT 1")
        return [version, *cursor.fetchone()]

async def maria_async():
    db = await aiomysql.connect(host="127.0.0.1", port=MARIA, user="root", db="test", ssl=context)
    async with db.cursor() as cursor:
        await cursor.execute("SELECT %s + 1", (41,))
        (n,) = await cursor.fetchone()
    db.close()
    return n

def cache():
    r = keep("redis", lambda: redis.Redis(port=REDIS, decode_responses=True))
    r.set("key", "value", ex=60)
    with r.pipeline() as pipe:
        counted = pipe.delete("n").incr("n").incr("n").execute()
    return [r.get("key"), counted, r.client_id() == keep("id", r.client_id)]

async def cache_async():
    async with redis.asyncio.Redis(port=REDIS, decode_responses=True) as r:
        subscriber = r.pubsub()
        await subscriber.subscribe("news")
        await subscriber.get_message(timeout=5)
        await r.publish("news", "told")
        message = await subscriber.get_message(timeout=5)
        await subscriber.aclose()
        return [message["data"], await asyncio.gather(*(r.echo(str(n)) for n in range(3)))]
`, map[string]string{"PG": fmt.Sprint(postgres.port), "MARIA": fmt.Sprint(maria.port), "REDIS": fmt.Sprint(redis.port)})
	h.check("databases",
		[2]string{`postgres()`, `[true, 1, "\u043a\u043b\u044e\u0447", {"a": [1, 2]}]`},
		[2]string{`postgres()`, `[true, 2, "\u043a\u043b\u044e\u0447", {"a": [1, 2]}]`}, // the connection of the call before
		[2]string{`transaction()`, `[4950]`},
		[2]string{`wrong_password()`, `"28P01"`},
		[2]string{`asyncio.run(postgres_async())`, `[42, "a"]`},
		[2]string{`maria()`, `["TLSv1.3", 1, "\u043a\u043b\u044e\u0447"]`},
		[2]string{`maria()`, `["TLSv1.3", 2, "\u043a\u043b\u044e\u0447"]`},
		[2]string{`asyncio.run(maria_async())`, `42`},
		[2]string{`cache()`, `["value", [0, 1, 2], true]`},
		[2]string{`cache()`, `["value", [1, 1, 2], true]`},
		[2]string{`asyncio.run(cache_async())`, `["told", ["0", "1", "2"]]`},
	)
}

func TestClients_Messages(t *testing.T) {
	authority, key := certificate(t)
	broker, web := startMosquitto(t, authority, key)
	mail := startSMTP(t, authority, key)
	h := netHost(t)
	h.client("messages", "data.txt", authority, `
import asyncio, email.message, os, smtplib, ssl
import paho.mqtt.client as mqtt, websockets

MQTT, WEB, SMTP = (int(os.environ[name]) for name in ("MQTT", "WEB", "SMTP"))
context = ssl.create_default_context(cafile="/function/code/ca.pem")

def publish(transport, port):
    got = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport=transport)
    client.on_connect = lambda client, *_: client.subscribe("told/#", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("told/here", "news", qos=1)
    def received(client, _, message):
        got.append([message.topic, message.payload.decode()])
        client.disconnect()
    client.on_message = received
    if port == MQTT:
        client.tls_set_context(context)
    client.connect("127.0.0.1", port)
    client.loop_forever()
    return got

async def web_socket():
    async with websockets.connect(f"ws://127.0.0.1:{WEB}/mqtt", subprotocols=["mqtt"]) as s:
        await s.send(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test")
        return [s.subprotocol, (await s.recv()).hex()]

def mail(secure=True):
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "told"
    message.set_content("news")
    with smtplib.SMTP("127.0.0.1", SMTP) as server:
        if secure:
            server.starttls(context=context)
        try:
            return server.send_message(message)
        except smtplib.SMTPResponseException as error:
            return error.smtp_code
`, map[string]string{"MQTT": fmt.Sprint(broker.port), "WEB": fmt.Sprint(web), "SMTP": fmt.Sprint(mail.port)})
	h.check("messages",
		[2]string{`publish("tcp", MQTT)`, `[["told/here", "news"]]`},
		[2]string{`publish("websockets", WEB)`, `[["told/here", "news"]]`},
		[2]string{`asyncio.run(web_socket())`, `["mqtt", "20020000"]`},
		[2]string{`mail()`, `{}`},
		[2]string{`mail(secure=False)`, `530`},
	)
}

func TestClients_S3(t *testing.T) {
	h := netHost(t)
	h.client("files", "s3.txt", "", `
import io, json, os
import boto3, urllib3
from botocore.config import Config

client = boto3.client(
    "s3", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1", aws_access_key_id="access", aws_secret_access_key="secret",
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)

def objects():
    client.create_bucket(Bucket="bucket")
    for name in ("a/1", "a/2", "b"):
        client.put_object(Bucket="bucket", Key=name, Body=name.encode(), Metadata={"of": "a test"})
    got = client.get_object(Bucket="bucket", Key="a/1")
    listed = client.list_objects_v2(Bucket="bucket", Prefix="a/")
    try:
        client.get_object(Bucket="bucket", Key="none")
    except client.exceptions.NoSuchKey as error:
        missing = error.response["Error"]["Code"]
    client.delete_object(Bucket="bucket", Key="b")
    return [got["Body"].read().decode(), got["Metadata"], [o["Key"] for o in listed["Contents"]], missing]

def parts():
    data = os.urandom(1 << 20) * 9 # parts of 8 MiB, each sent and fetched by a thread of boto3's
    with open("/tmp/large", "wb") as f:
        f.write(data)
    client.upload_file("/tmp/large", "bucket", "large")
    into = io.BytesIO()
    client.download_fileobj("bucket", "large", into)
    return [into.getvalue() == data, client.head_object(Bucket="bucket", Key="large")["ETag"].strip('"').partition("-")[2]]

def presigned():
    url = client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "signed"}, ExpiresIn=60)
    put = urllib3.request("PUT", url, body=b"signed")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "signed"}, ExpiresIn=60)
    return [put.status, urllib3.request("GET", url).data.decode(), urllib3.request("GET", url.replace("signed?", "large?")).status]
`, map[string]string{"ENDPOINT": "http://" + startS3(t).address()})
	h.check("files",
		[2]string{`objects()`, `["a/1", {"of": "a test"}, ["a/1", "a/2"], "NoSuchKey"]`},
		[2]string{`parts()`, `[true, "2"]`},
		[2]string{`presigned()`, `[200, "signed", 403]`},
	)
}

// A stand-in of Telegram's API, which knows one bot.
func botAPI(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/bot1:token/")
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"ok":false,"error_code":401,"description":"Unauthorized"}`)
		return
	}
	message := func(text string) string {
		quoted, _ := json.Marshal(text)
		return fmt.Sprintf(`{"message_id":7,"date":1700000000,"chat":{"id":5,"type":"private"},"text":%s}`, quoted)
	}
	result := "true"
	switch method {
	case "getMe":
		result = `{"id":1,"is_bot":true,"first_name":"Bot","username":"a_bot"}`
	case "sendMessage":
		result = message(r.FormValue("text"))
	case "sendDocument":
		file, header, err := r.FormFile("document")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"ok":false,"error_code":400,"description":%q}`, err)
			return
		}
		data, _ := io.ReadAll(file)
		result = message(header.Filename + ": " + string(data))
	case "getUpdates":
		result = `[{"update_id":9,"message":` + message("ping") + `}]`
	}
	fmt.Fprintf(w, `{"ok":true,"result":%s}`, result)
}

func TestClients_Bots(t *testing.T) {
	server, authority := tlsServer(t, nil)
	server.Config.Handler = http.HandlerFunc(botAPI)
	h := netHost(t)
	h.client("bots", "bots.txt", authority, `
import asyncio, io, os, ssl
import httpx, telebot, telegram, telegram.ext
from telegram.request import HTTPXRequest

API = os.environ["API"]
telebot.apihelper.API_URL = API + "/bot{0}/{1}"
bot = telebot.TeleBot("1:token", threaded=False)
context = ssl.create_default_context(cafile="/function/code/ca.pem")
said = []

@bot.message_handler(func=lambda message: True)
def echo(message):
    said.append(bot.reply_to(message, "pong").text)

def sync():
    bot.process_new_updates(bot.get_updates(timeout=1))
    document = io.BytesIO(b"data")
    document.name = "a.txt"
    return [bot.get_me().username, said, bot.send_document(5, document).text]

def stranger():
    try:
        telebot.TeleBot("2:token", threaded=False).get_me()
    except telebot.apihelper.ApiTelegramException as error:
        return error.error_code

async def modern():
    request = HTTPXRequest(httpx_kwargs={"verify": context})
    application = telegram.ext.ApplicationBuilder().token("1:token").base_url(API + "/bot").request(request).build()
    answers = []
    async def on_message(update, _):
        answers.append((await update.message.reply_text("pong")).text)
    application.add_handler(telegram.ext.MessageHandler(telegram.ext.filters.TEXT, on_message))
    async with application:
        update = telegram.Update.de_json({"update_id": 1, "message": {
            "message_id": 7, "date": 1700000000, "chat": {"id": 5, "type": "private"}, "text": "ping"}}, application.bot)
        await application.process_update(update)
        document = await application.bot.send_document(5, b"data", filename="a.txt")
        return [application.bot.username, answers, document.text]
`, map[string]string{"API": fmt.Sprintf("https://127.0.0.1:%d", server.Listener.Addr().(*net.TCPAddr).Port), "REQUESTS_CA_BUNDLE": "/function/code/ca.pem"})
	h.check("bots",
		[2]string{`sync()`, `["a_bot", ["pong"], "a.txt: data"]`},
		[2]string{`stranger()`, `401`},
		[2]string{`asyncio.run(modern())`, `["a_bot", ["pong"], "a.txt: data"]`},
		[2]string{`asyncio.run(modern())`, `["a_bot", ["pong"], "a.txt: data"]`},
	)
}
