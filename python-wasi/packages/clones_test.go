package packages

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"vivarium/host"
	"vivarium/host/logs"
	pythonwasi "vivarium/python-wasi"
)

// Instances of one version are clones of one image, in which packages in Rust are
// imported and have seeded their hash tables, as are modules that make a key only when
// it is asked for. An attacker who runs one of them, or
// sees what one draws, must learn nothing of what another one draws.
func TestPackages_ClonesShareSeedsButNoKeys(t *testing.T) {
	testClones(t, pythonwasi.Full, keys)
}

// testClones calls a function on four clones of one image. What they draw, texts by the
// names of what drew them, must be another text each time.
func testClones(t *testing.T, guest pythonwasi.Guest, code string) {
	t.Helper()
	var mu sync.Mutex
	var said []string
	h := newHost(t, guest, host.Config{
		MaxCalls: 1, // each call on an instance of its own
		Logs: func(e logs.Entry) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, e.Message)
		},
	})
	deploy(t, h, "keys", fstest.MapFS{"main.py": {Data: []byte(code)}})
	seen := map[string]bool{}
	for range 4 {
		var drawn map[string]string
		if err := json.Unmarshal([]byte(invoke(t, h, "keys")), &drawn); err != nil {
			t.Fatal(err)
		}
		for name, value := range drawn {
			if seen[value] {
				t.Errorf("%s: two instances drew %s", name, value)
			}
			seen[value] = true
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, message := range said {
		if strings.Contains(message, "imports the module itself") {
			t.Errorf("not frozen: %s", message)
		}
	}
}

// What is used at import has used its hash tables, too.
const keys = `
import multiprocessing.pool
import secrets
import uuid

import bcrypt
import pydantic
import rpds
from aiohttp._websocket.writer import WebSocketWriter
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

etree.fromstring("<a b='c'/>")


class Model(pydantic.BaseModel):
    names: dict[str, int]
    kind: "pydantic.UUID4 | None" = None


Model.model_validate_json('{"names": {"a": 1, "b": 2}}')
tree = rpds.HashTrieMap({str(n): n for n in range(100)})


def public(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ).hex()


def handler(event, context):
    Model.model_validate({"names": dict(tree)})
    return {
        "token": secrets.token_hex(),
        "authkey": bytes(multiprocessing.current_process().authkey).hex(),
        "uuid4": str(uuid.uuid4()),
        "masks": repr([WebSocketWriter(None, None).get_random_bits() for _ in range(4)]),
        "fernet": Fernet.generate_key().decode(),
        # The nonce of a message, under a key that all share.
        "nonce": Fernet(b"A" * 43 + b"=").encrypt_at_time(b"text", 0).decode(),
        "aes": AESGCM.generate_key(128).hex(),
        "rsa": public(rsa.generate_private_key(65537, 1024)),
        "ec": public(ec.generate_private_key(ec.SECP256R1())),
        "ed25519": public(ed25519.Ed25519PrivateKey.generate()),
        "ecdsa": ec.derive_private_key(1, ec.SECP256R1()).sign(
            b"text", ec.ECDSA(hashes.SHA256())
        ).hex(),
        "serial": str(x509.random_serial_number()),
        "salt": bcrypt.gensalt(4).decode(),
        "hash": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode(),
    }
`
