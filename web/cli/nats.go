package cli

import "vivarium/host/store"

// natsFlags has the flags for how NATS servers are reached. What is in the URL can be seen in
// the list of processes.
type natsFlags struct {
	NATSPrefix string `name:"nats-prefix" placeholder:"NAME" help:"What the names of streams, buckets and subjects begin with, for several installations in one account of the NATS servers. Default: vivarium."`
	NATSCreds  string `name:"nats-creds" placeholder:"FILE" help:"Credentials of a user of the NATS servers, as nsc writes them. May be renewed while the program runs."`
	NATSCA     string `name:"nats-ca" placeholder:"FILE" help:"Certificates that the NATS servers' are signed with. Default: the system's."`
	NATSCert   string `name:"nats-cert" placeholder:"FILE" and:"nats-client" help:"Certificate for the NATS servers, if they want one."`
	NATSKey    string `name:"nats-key" placeholder:"FILE" and:"nats-client" help:"Its key."`
}

func (f natsFlags) auth() store.Auth {
	return store.Auth{Creds: f.NATSCreds, RootCAs: f.NATSCA, Cert: f.NATSCert, Key: f.NATSKey}
}

// storeAt returns where the store is that servers at a URL have.
func (f natsFlags) storeAt(url string) store.Config {
	return store.Config{URL: url, Prefix: f.NATSPrefix, Auth: f.auth()}
}

// files returns the files that each connection reads.
func (f natsFlags) files() (files []string) {
	for _, file := range []string{f.NATSCreds, f.NATSCA, f.NATSCert, f.NATSKey} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}
