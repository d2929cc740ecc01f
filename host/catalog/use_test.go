package catalog

import (
	"fmt"
	"sync"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/quota"
)

// Quotas are for what a tenant has and is making, together; others' are their own.
func TestQuotas_OfManyAtOnce(t *testing.T) {
	const functions, versions = 5, 7
	ledger := quota.New(quota.Config{Defaults: quota.Amounts{quota.Functions: functions, quota.Versions: versions}})
	c := open(t, memory(t), func(cfg *Config) { cfg.Ledger = ledger })
	for _, tenant := range []string{"acme", "umbrella"} {
		var makers sync.WaitGroup
		for n := range 3 * functions {
			makers.Go(func() {
				_, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Tenant: tenant, Name: fmt.Sprint("fun-", n)})
				if err != nil && fault.Of(err) != fault.OverQuota {
					t.Error(err)
				}
			})
		}
		makers.Wait()
		all, err := c.Functions(member(tenant))
		if err != nil || len(all) != functions {
			t.Fatalf("%s has %d functions, %v, want %d", tenant, len(all), err, functions)
		}
		for n := range 3 * versions {
			makers.Go(func() {
				spec := VersionSpec{Entrypoint: "a.b"}
				_, err := c.CreateVersion(t.Context(), access.Operator, all[n%functions].ID, spec, fmt.Append(nil, n), nil)
				if err != nil && fault.Of(err) != fault.OverQuota {
					t.Error(err)
				}
			})
		}
		makers.Wait()
		made, err := c.Versions(member(tenant), "")
		if err != nil || len(made) != versions || len(c.records.admissions.versions) != 0 {
			t.Errorf("%s has %d versions, %v, want %d; %d are being made", tenant, len(made), err, versions, len(c.records.admissions.versions))
		}
		// What goes makes room.
		if err := c.DeleteVersion(t.Context(), access.Operator, made[0].ID, true); err != nil {
			t.Fatal(err)
		}
		c.version(made[0].FunctionID, "one more")
	}
}

func TestQuotas_OfCode(t *testing.T) {
	ledger := quota.New(quota.Config{Defaults: quota.Amounts{quota.CodeBytes: 10}})
	c := open(t, memory(t), func(cfg *Config) { cfg.Ledger = ledger })
	c.create("acme", "fun")
	c.create("umbrella", "fun")
	v := c.version("acme/fun", "1234567")
	for code, kind := range map[string]fault.Kind{"1234": fault.OverQuota, "123456789ab": fault.OverQuota} {
		_, err := c.CreateVersion(t.Context(), access.Operator, "acme/fun", VersionSpec{Entrypoint: "a.b"}, []byte(code), nil)
		if fault.Of(err) != kind {
			t.Errorf("%d bytes: got %v", len(code), err)
		}
	}
	_, err := c.CopyVersion(t.Context(), access.Operator, "acme/fun", VersionSpec{Entrypoint: "a.b"}, v.ID, nil)
	wantError[*quota.Error](t, err, "quota")
	c.version("acme/fun", "123")
	c.version("umbrella/fun", "0123456789")
	use, err := c.Use(access.Operator)
	if err != nil || use["acme"][quota.CodeBytes] != 10 || use["umbrella"][quota.CodeBytes] != 10 || len(use) != 2 {
		t.Errorf("use: %v, %v", use, err)
	}
	if use, err := c.Use(member("acme")); err != nil || len(use) != 1 || use["acme"][quota.Versions] != 2 {
		t.Errorf("a member sees %v, %v", use, err)
	}
	if codes, err := c.store.Code.Names(t.Context()); err != nil || len(codes) != 3 {
		t.Errorf("%d archives, %v: what was refused is stored", len(codes), err)
	}
}
