package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/strvals"
)

type options struct {
	namespace   string
	values      map[string]any
	kubeVersion *common.KubeVersion
}

// readOptions reads helm's flags; what --set says counts over all files, as it does there.
func readOptions(args []string) (options, error) {
	o := options{values: map[string]any{}}
	var sets []string
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.StringVar(&o.namespace, "namespace", "default", "")
	flags.Func("values", "", func(file string) error {
		text, err := os.Open(file)
		if err != nil {
			return err
		}
		defer text.Close()
		values, err := loader.LoadValues(text)
		o.values = loader.MergeMaps(o.values, values)
		return err
	})
	flags.Func("set", "", func(list string) error {
		sets = append(sets, list)
		return nil
	})
	flags.Func("kube-version", "", func(version string) (err error) {
		o.kubeVersion, err = common.ParseKubeVersion(version)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, list := range sets {
		if err := strvals.ParseInto(list, o.values); err != nil {
			return o, err
		}
	}
	return o, nil
}

func renderChart(name, folder string, o options) error {
	chart, err := loader.Load(folder)
	if err != nil {
		return err
	}
	if err := chartutil.ProcessDependencies(chart, o.values); err != nil {
		return err
	}
	capabilities := common.DefaultCapabilities.Copy()
	if o.kubeVersion != nil {
		capabilities.KubeVersion = *o.kubeVersion
	}
	needed := chart.Metadata.KubeVersion
	if needed != "" && !chartutil.IsCompatibleRange(needed, capabilities.KubeVersion.String()) {
		return fmt.Errorf("the chart needs Kubernetes %s, not %s", needed, capabilities.KubeVersion.String())
	}
	release := common.ReleaseOptions{Name: name, Namespace: o.namespace, Revision: 1, IsInstall: true}
	values, err := commonutil.ToRenderValues(chart, o.values, release, capabilities)
	if err != nil {
		return err
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return err
	}
	notesFile := path.Join(chart.Name(), "templates", "NOTES.txt")
	notes := files[notesFile]
	delete(files, notesFile)
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return err
	}
	for _, manifest := range manifests {
		fmt.Printf("---\n# Source: %s\n%s\n", manifest.Name, strings.TrimRight(manifest.Content, "\n"))
	}
	for _, hook := range hooks {
		fmt.Printf("---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	fmt.Println("---")
	for line := range strings.Lines(strings.TrimSpace(notes)) {
		fmt.Println(strings.TrimSpace("# " + line))
	}
	return nil
}

func lintChart(folder string, o options) error {
	found := lint.RunAll(folder, o.values, o.namespace, lint.WithKubeVersion(o.kubeVersion))
	for _, message := range found.Messages {
		fmt.Println(message)
	}
	if found.HighestSeverity >= support.WarningSev {
		return fmt.Errorf("%s has faults", folder)
	}
	return nil
}
