// Command deploy renders a chart, lints it, and judges its pods, by the code of helm and of Kubernetes:
//
//	deploy template NAME CHART [flags]    prints its manifests, and its notes at the end, as comments
//	deploy lint CHART [flags]             prints what helm finds; warnings fail, too
//	deploy pods < MANIFESTS               prints the pods that the restricted security standard refuses
//
// Flags are those of helm: --namespace, --values FILE, --set LIST, --kube-version. helm itself takes three times as
// long to build, and its other commands need a cluster.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "template":
		options, err := readOptions(args[3:])
		if err != nil {
			return err
		}
		return renderChart(args[1], args[2], options)
	case len(args) >= 2 && args[0] == "lint":
		options, err := readOptions(args[2:])
		if err != nil {
			return err
		}
		return lintChart(args[1], options)
	case len(args) == 1 && args[0] == "pods":
		return checkPods(os.Stdin)
	}
	return fmt.Errorf("usage: deploy template NAME CHART | lint CHART | pods")
}
