package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
)

// imagesLine is how many images a node has made, or copied from another one.
var imagesLine = regexp.MustCompile(`(?m)^vivarium_images_total\{from="(copied|made)"\} (\S+)$`)

// countImages notes how many images nodes have made and copied since they were started. It is
// only for the report: a node that could not be asked has nothing to say.
func (c *clustered) countImages(ctx context.Context) {
	for _, n := range c.nodes {
		one := *c.d.client("")
		one.base = n.base
		said := "?"
		if a, err := one.call(ctx, http.MethodGet, "/metrics", nil, nil); err == nil && a.status == http.StatusOK {
			said = ""
			for _, m := range imagesLine.FindAllSubmatch(a.body, -1) {
				said += fmt.Sprintf(" %s %s", m[1], m[2])
			}
		}
		c.images = append(c.images, n.name+":"+said)
	}
}

func (c *clustered) reportImages(t io.Writer) {
	fmt.Fprintf(t, "Images since the last start: %q.\n", c.images)
}
