package cli

import (
	"regexp"
	"strings"

	"vivarium/host/fault"
)

// distributions are what well-known modules are installed as, where the names differ.
// Others are mostly called alike.
var distributions = map[string]string{
	"bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx",
	"dotenv": "python-dotenv", "fitz": "PyMuPDF", "google": "google-api-python-client", "jose": "python-jose", "jwt": "PyJWT",
	"magic": "python-magic", "multipart": "python-multipart", "mysql": "mysql-connector-python", "OpenSSL": "pyOpenSSL",
	"PIL": "Pillow", "psycopg2": "psycopg2-binary", "pptx": "python-pptx", "serial": "pyserial", "skimage": "scikit-image",
	"sklearn": "scikit-learn", "slugify": "python-slugify", "telebot": "pyTelegramBotAPI", "telegram": "python-telegram-bot",
	"yaml": "PyYAML", "zmq": "pyzmq",
	// What older Pythons had themselves.
	"aifc": "standard-aifc", "asynchat": "pyasynchat", "asyncore": "pyasyncore", "chunk": "standard-chunk", "distutils": "standard-distutils",
	"imp": "zombie-imp", "mailcap": "standard-mailcap", "nntplib": "standard-nntplib", "pipes": "standard-pipes",
	"sndhdr": "standard-sndhdr", "uu": "standard-uu", "xdrlib": "standard-xdrlib",
}

// popular are packages whose modules are called like them: of these a function that
// lacks one surely means the package, and not a file of its own.
var popular = strings.Fields(`aiobotocore aiofiles aiogram aiohttp aiosqlite alembic anthropic anyio apscheduler asyncpg attrs
	boto3 botocore cachetools celery certifi chardet charset_normalizer click clickhouse_connect clickhouse_driver cryptography
	django elasticsearch email_validator fastapi flask gspread gunicorn h11 h2 httpcore httpx idna itsdangerous jinja2 jsonschema
	langchain loguru lxml mangum markdown matplotlib moto motor networkx numpy oauthlib openai openpyxl orjson pandas paramiko peewee
	phonenumbers polars prometheus_client protobuf psutil psycopg pyarrow pydantic pydantic_settings pygments pymongo pymysql
	pyparsing pyrogram pytest pytz qrcode redis regex requests requests_oauthlib rich s3fs scipy sentry_sdk simplejson six
	sqlalchemy sqlmodel starlette structlog tabulate telethon tenacity tiktoken toml tornado tqdm typer tzlocal ujson urllib3 uvicorn
	vk_api websocket websockets werkzeug xlrd xlsxwriter xmltodict yandexcloud yarl ydb`)

// hint says what the user can do about a function's error; empty when that is not known.
func (t *terminal) hint(e *fault.FunctionError) string {
	if e.Type == "BdbQuit" && !t.debugging { // breakpoint(), with nobody there
		return "breakpoint() needs run or dev with --debug, which opens pdb, or --debug-port"
	}
	return installHint(e)
}

var missingModule = regexp.MustCompile(`^No module named '([^'.]+)`)

// installHint says how a function gets a package that it lacks; empty when what it
// lacks is not known as one.
func installHint(e *fault.FunctionError) string {
	m := missingModule.FindStringSubmatch(e.Message)
	if e.Type != "ModuleNotFoundError" || m == nil {
		return ""
	}
	name, known := distributions[m[1]], true
	if name == "" {
		name, known = m[1], false
		for _, p := range popular {
			known = known || p == name
		}
	}
	if !known {
		return ""
	}
	return "write " + strings.ReplaceAll(name, "_", "-") + " into a requirements.txt beside the code; run, dev and deploy install what it names"
}
