// This file checks what somebody deploys with: manifests have the shape that their readers take, and agree with each
// other and with the configurations in them.

package cmd_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/gateway"
)

// documents decodes each document of a file strictly into what by says of its kind.
func documents(t *testing.T, name string, by func(kind string) any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	kinds, strict := yaml.NewDecoder(bytes.NewReader(text)), yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	for {
		var head struct{ Kind string }
		err := kinds.Decode(&head)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		into := by(head.Kind)
		if into == nil {
			t.Fatalf("%s: kind %q is not known to this test", name, head.Kind)
		}
		if err := strict.Decode(into); err != nil {
			t.Fatalf("%s, %s: %v", name, head.Kind, err)
		}
	}
}

// What this test knows of Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/.
type (
	objectMeta struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	objectHead struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   objectMeta
	}
	labelSelector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	configMap struct {
		objectHead `yaml:",inline"`
		Data       map[string]string
	}
	service struct {
		objectHead `yaml:",inline"`
		Spec       struct {
			Selector map[string]string
			Ports    []struct {
				Name       string
				Port       int
				TargetPort string `yaml:"targetPort"`
			}
		}
	}
	disruptionBudget struct {
		objectHead `yaml:",inline"`
		Spec       struct {
			MinAvailable int `yaml:"minAvailable"`
			Selector     labelSelector
		}
	}
	deployment struct {
		objectHead `yaml:",inline"`
		Spec       struct {
			Replicas             int
			RevisionHistoryLimit int `yaml:"revisionHistoryLimit"`
			Selector             labelSelector
			Strategy             struct {
				Type          string
				RollingUpdate struct {
					MaxUnavailable int `yaml:"maxUnavailable"`
					MaxSurge       int `yaml:"maxSurge"`
				} `yaml:"rollingUpdate"`
			}
			Template struct {
				Metadata objectMeta
				Spec     pod
			}
		}
	}
	pod struct {
		AutomountServiceAccountToken  bool `yaml:"automountServiceAccountToken"`
		TerminationGracePeriodSeconds int  `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool              `yaml:"runAsNonRoot"`
			RunAsUser      int               `yaml:"runAsUser"`
			RunAsGroup     int               `yaml:"runAsGroup"`
			SeccompProfile map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		TopologySpreadConstraints []struct {
			MaxSkew           int           `yaml:"maxSkew"`
			TopologyKey       string        `yaml:"topologyKey"`
			WhenUnsatisfiable string        `yaml:"whenUnsatisfiable"`
			LabelSelector     labelSelector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []container
		Volumes    []struct {
			Name      string
			ConfigMap struct{ Name string } `yaml:"configMap"`
		}
	}
	container struct {
		Name, Image string
		Args        []string
		Ports       []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		Env []struct {
			Name      string
			ValueFrom struct {
				SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		}
		StartupProbe    probe `yaml:"startupProbe"`
		ReadinessProbe  probe `yaml:"readinessProbe"`
		LivenessProbe   probe `yaml:"livenessProbe"`
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
)

// envReference is a variable in a configuration.
var envReference = regexp.MustCompile(`\$\{env\.(\w+)\}`)

// variables lists what a configuration reads of its environment.
func variables(text string) (names []string) {
	for _, match := range envReference.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// loadDeployed loads a configuration of the deployment with every variable set.
func loadDeployed(t *testing.T, name, text string) *config.Config {
	t.Helper()
	environment := documentationEnvironment()
	environment.LookupEnv = func(name string) (string, bool) {
		if name == "LEDGER_URL" {
			return "postgres://afterchat:secret@db:5432/afterchat", true
		}
		return documentationEnvironment().LookupEnv(name)
	}
	cfg, err := config.Parse(name, []byte(text), config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}, environment)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return cfg
}

func TestKubernetesManifest(t *testing.T) {
	t.Parallel()
	var settings configMap
	var replicas deployment
	var budget disruptionBudget
	var hooks service
	kinds := map[string]any{"ConfigMap": &settings, "Deployment": &replicas, "PodDisruptionBudget": &budget, "Service": &hooks}
	documents(t, "kubernetes.yaml", func(kind string) any {
		into := kinds[kind]
		delete(kinds, kind)
		return into
	})
	if len(kinds) > 0 {
		t.Fatalf("it has no %v", slices.Sorted(maps.Keys(kinds)))
	}
	cfg := loadDeployed(t, "kubernetes.yaml", settings.Data["afterchat.yaml"])
	spec, pod := replicas.Spec, replicas.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]

	for what, labels := range map[string]map[string]string{
		"the Deployment": spec.Selector.MatchLabels, "the PodDisruptionBudget": budget.Spec.Selector.MatchLabels, "the Service": hooks.Spec.Selector,
	} {
		if !maps.Equal(labels, spec.Template.Metadata.Labels) {
			t.Errorf("%s selects %v, pods have %v", what, labels, spec.Template.Metadata.Labels)
		}
	}
	if spec.Replicas < 3 || budget.Spec.MinAvailable >= spec.Replicas || spec.Strategy.RollingUpdate.MaxUnavailable != 0 || spec.Strategy.RollingUpdate.MaxSurge < 1 {
		t.Errorf("%d replicas, at least %d, update %+v", spec.Replicas, budget.Spec.MinAvailable, spec.Strategy)
	}
	if grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; grace < cfg.Server.DrainDelay+60*time.Second {
		t.Errorf("a pod has %s to stop, and drains for %s", grace, cfg.Server.DrainDelay)
	}
	if !pod.SecurityContext.RunAsNonRoot || !c.SecurityContext.ReadOnlyRootFilesystem || c.SecurityContext.AllowPrivilegeEscalation {
		t.Error("a pod has more rights than it needs")
	}
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = ":" + strconv.Itoa(p.ContainerPort)
	}
	if cfg.Server.Listen != ports["hooks"] || !strings.HasSuffix(cfg.Admin.Listen, ports["admin"]) {
		t.Errorf("ports %v, the configuration listens on %s and %s", ports, cfg.Server.Listen, cfg.Admin.Listen)
	}
	for path, probes := range map[string][]probe{"/healthz": {c.StartupProbe, c.LivenessProbe}, "/readyz": {c.ReadinessProbe}} {
		for _, p := range probes {
			if p.HTTPGet.Path != path || p.HTTPGet.Port != "admin" || p.FailureThreshold < 1 {
				t.Errorf("probe %+v, want %s of the admin port", p, path)
			}
		}
	}
	for _, p := range hooks.Spec.Ports {
		if p.TargetPort != "hooks" {
			t.Errorf("the service has port %s, which is for operators", p.TargetPort)
		}
	}
	var set []string
	head, err := os.ReadFile(filepath.Join("..", "deploy", "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Env {
		set = append(set, e.Name)
		if from := e.ValueFrom.SecretKeyRef; from.Name == "" || !strings.Contains(string(head), "--from-literal="+from.Key+"=") {
			t.Errorf("%s comes from %+v, which the head of the file does not make", e.Name, from)
		}
	}
	slices.Sort(set)
	if want := variables(settings.Data["afterchat.yaml"]); !slices.Equal(set, want) {
		t.Errorf("the pod has %v, its configuration reads %v", set, want)
	}
	if len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != "/etc/afterchat" || pod.Volumes[0].ConfigMap.Name != settings.Metadata.Name {
		t.Errorf("the configuration is mounted as %+v of %+v", c.VolumeMounts, pod.Volumes)
	}
}

// composition is what this test knows of https://github.com/compose-spec/compose-spec.
type composition struct {
	Services map[string]struct {
		Build, Image, Restart string
		ReadOnly              bool     `yaml:"read_only"`
		CapDrop               []string `yaml:"cap_drop"`
		SecurityOpt           []string `yaml:"security_opt"`
		StopGracePeriod       string   `yaml:"stop_grace_period"`
		ShmSize               string   `yaml:"shm_size"`
		Deploy                struct{ Replicas int }
		DependsOn             any `yaml:"depends_on"`
		Ports, Volumes        []string
		Command               []string
		Environment           map[string]string
		Healthcheck           struct {
			Test              []string
			Interval, Timeout string
			Retries           int
		}
	}
	Volumes map[string]any
}

// TestCompositions: the files that a composition mounts are there, and its configuration passes check with what the
// composition sets.
func TestCompositions(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ configuration, ledger string }{
		"compose.yaml":          {"afterchat.yaml", "sqlite:/data/afterchat.db"},
		"compose.postgres.yaml": {"afterchat.postgres.yaml", "postgres://afterchat:***@db:5432/afterchat"},
	} {
		var c composition
		documents(t, name, func(string) any { return &c })
		text, err := os.ReadFile(filepath.Join("..", "deploy", want.configuration))
		if err != nil {
			t.Fatal(err)
		}
		cfg := loadDeployed(t, want.configuration, string(text))
		if got := cfg.Ledger.URL.String(); got != want.ledger {
			t.Errorf("%s: the ledger is %s, want %s", name, got, want.ledger)
		}
		gatewayService := c.Services["afterchat"]
		if got := slices.Sorted(maps.Keys(gatewayService.Environment)); !slices.Equal(got, variables(string(text))) {
			t.Errorf("%s sets %v, %s reads %v", name, got, want.configuration, variables(string(text)))
		}
		if cfg.Ledger.URL.Shared() != (gatewayService.Deploy.Replicas > 1) || cfg.Ledger.URL.Shared() != (len(gatewayService.Ports) == 0) {
			t.Errorf("%s: %d replicas, ports %v", name, gatewayService.Deploy.Replicas, gatewayService.Ports)
		}
		mounted := false
		for service, s := range c.Services {
			for _, v := range s.Volumes {
				from, to, _ := strings.Cut(v, ":")
				if !strings.HasPrefix(from, "./") {
					if _, declared := c.Volumes[from]; !declared {
						t.Errorf("%s, %s: volume %s is not declared", name, service, from)
					}
					continue
				}
				if _, err := os.Stat(filepath.Join("..", "deploy", from)); err != nil {
					t.Errorf("%s, %s: %v", name, service, err)
				}
				mounted = mounted || from == "./"+want.configuration && strings.HasPrefix(to, "/etc/afterchat/afterchat.yaml")
			}
		}
		if !mounted {
			t.Errorf("%s does not mount %s", name, want.configuration)
		}
	}
}
