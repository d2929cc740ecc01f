package store

import (
	"testing"

	"vivarium/host/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
