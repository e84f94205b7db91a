package main

import (
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// manifest holds what leads to a pod template: of a workload, of a CronJob-like nesting, or the pod itself.
type manifest struct {
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		corev1.PodSpec `json:",inline"`
		Template       *corev1.PodTemplateSpec `json:"template"`
		ReplicatedJobs []struct {
			Template struct {
				Spec struct {
					Template corev1.PodTemplateSpec `json:"template"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"replicatedJobs"`
	} `json:"spec"`
}

// checkPods says which pods of the manifests the restricted pod security standard refuses, by the same code as the
// admission of Kubernetes: a line for each, and an error when there are any.
func checkPods(input io.Reader) error {
	pods, refused, err := check(input)
	if err != nil {
		return err
	}
	fmt.Printf("%d pods, %d refused\n", pods, refused)
	if refused > 0 {
		return errors.New("the restricted standard refuses pods")
	}
	return nil
}

func check(input io.Reader) (pods, refused int, err error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return 0, 0, err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	decoder := yaml.NewYAMLOrJSONDecoder(input, 4096)
	for {
		var object manifest
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return pods, refused, nil
		} else if err != nil {
			return pods, refused, err
		}
		for _, template := range templates(object) {
			pods++
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec))
			if !result.Allowed {
				refused++
				fmt.Printf("%s %s: %s\n", object.Kind, object.Metadata.Name, result.ForbiddenDetail())
			}
		}
	}
}

func templates(object manifest) []corev1.PodTemplateSpec {
	if object.Kind == "Pod" {
		return []corev1.PodTemplateSpec{{ObjectMeta: object.Metadata, Spec: object.Spec.PodSpec}}
	}
	var found []corev1.PodTemplateSpec
	if object.Spec.Template != nil {
		found = append(found, *object.Spec.Template)
	}
	for _, job := range object.Spec.ReplicatedJobs {
		found = append(found, job.Template.Spec.Template)
	}
	return found
}
