package rewrite

//go:generate sh -c "cd testdata && for f in *.wat; do wat2wasm --enable-tail-call $DOLLAR{f} -o $DOLLAR{f%.wat}.wasm; done"
