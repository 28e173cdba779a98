package kuberay

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// access is how an API server is reached, and as whom. Only one of the ways to say who asks is set.
type access struct {
	server     string
	serverName string // name in the server's certificate, if it isn't the host
	insecure   bool   // the server's certificate isn't checked
	proxy      string
	ca         pemText
	cert, key  pemText
	token      string
	tokenFile  string
	user, pass string
	as         string // the account to act as
	asUID      string
	asGroups   []string
	exec       *execConfig
}

// pemText is PEM text, or the file that holds it.
type pemText struct {
	file, data string
}

func (p pemText) empty() bool { return p.file == "" && p.data == "" }

func (p pemText) read() ([]byte, error) {
	if p.data != "" || p.file == "" {
		return []byte(p.data), nil
	}
	return os.ReadFile(p.file)
}

// kubeConfig is the part of a kubeconfig file that says how to reach a server, under the names of Kubernetes'
// "kubeconfig (v1)" reference.
type kubeConfig struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string        `yaml:"name"`
		Cluster clusterConfig `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string     `yaml:"name"`
		User userConfig `yaml:"user"`
	} `yaml:"users"`
}

type clusterConfig struct {
	Server     string `yaml:"server"`
	ServerName string `yaml:"tls-server-name"`
	Insecure   bool   `yaml:"insecure-skip-tls-verify"`
	CAFile     string `yaml:"certificate-authority"`
	CAData     string `yaml:"certificate-authority-data"`
	Proxy      string `yaml:"proxy-url"`

	dir string // of the file that this stands in
}

type userConfig struct {
	CertFile  string         `yaml:"client-certificate"`
	CertData  string         `yaml:"client-certificate-data"`
	KeyFile   string         `yaml:"client-key"`
	KeyData   string         `yaml:"client-key-data"`
	Token     string         `yaml:"token"`
	TokenFile string         `yaml:"tokenFile"`
	Username  string         `yaml:"username"`
	Password  string         `yaml:"password"`
	As        string         `yaml:"as"`
	AsUID     string         `yaml:"as-uid"`
	AsGroups  []string       `yaml:"as-groups"`
	AsExtra   map[string]any `yaml:"as-user-extra"`
	Provider  any            `yaml:"auth-provider"`
	Exec      *execConfig    `yaml:"exec"`

	dir string
}

// errNoConfig says that no file names a server.
var errNoConfig = errors.New("no kubeconfig names a server, and this is no pod")

// findAccess reads the file, else those of KUBECONFIG, else ~/.kube/config, else the account of the pod: the order of
// kubectl.
func findAccess(file, context string) (*access, error) {
	files := []string{file}
	if file == "" {
		files = filepath.SplitList(os.Getenv("KUBECONFIG"))
	}
	if len(files) == 0 {
		if home, err := os.UserHomeDir(); err == nil {
			files = []string{filepath.Join(home, ".kube", "config")}
		}
	}
	config, found := &kubeConfig{}, false
	for _, name := range files {
		more, err := readConfig(name)
		if errors.Is(err, os.ErrNotExist) && file == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		config.merge(more)
		found = true
	}
	if !found || file == "" && context == "" && len(config.Clusters) == 0 {
		return podAccess()
	}
	return config.access(context)
}

func readConfig(name string) (*kubeConfig, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	c := new(kubeConfig)
	if err := yaml.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range c.Clusters {
		c.Clusters[i].Cluster.dir = dir
	}
	for i := range c.Users {
		c.Users[i].User.dir = dir
	}
	return c, nil
}

// merge adds what another file says. What was said first counts.
func (c *kubeConfig) merge(more *kubeConfig) {
	c.CurrentContext = cmp.Or(c.CurrentContext, more.CurrentContext)
	c.Contexts = append(c.Contexts, more.Contexts...)
	c.Clusters = append(c.Clusters, more.Clusters...)
	c.Users = append(c.Users, more.Users...)
}

// access returns what a context says, else what the current one says.
func (c *kubeConfig) access(context string) (*access, error) {
	name := cmp.Or(context, c.CurrentContext)
	if name == "" {
		return nil, errors.New("no context is the current one; --kube-context names one")
	}
	for _, known := range c.Contexts {
		if known.Name != name {
			continue
		}
		a := new(access)
		if err := c.setCluster(a, known.Context.Cluster); err != nil {
			return nil, fmt.Errorf("context %q: %w", name, err)
		}
		if err := c.setUser(a, known.Context.User); err != nil {
			return nil, fmt.Errorf("context %q: %w", name, err)
		}
		return a, nil
	}
	return nil, fmt.Errorf("no context is named %q", name)
}

func (c *kubeConfig) setCluster(a *access, name string) (err error) {
	for _, known := range c.Clusters {
		if known.Name != name {
			continue
		}
		from := known.Cluster
		a.server, a.serverName, a.insecure, a.proxy = from.Server, from.ServerName, from.Insecure, from.Proxy
		if !strings.Contains(a.server, "://") {
			a.server = "https://" + a.server
		}
		if _, err := url.Parse(a.server); err != nil || from.Server == "" {
			return fmt.Errorf("cluster %q names no server", name)
		}
		a.ca, err = pemOf(from.dir, from.CAFile, from.CAData)
		return err
	}
	return fmt.Errorf("no cluster is named %q", name)
}

func (c *kubeConfig) setUser(a *access, name string) (err error) {
	if name == "" { // whoever asks is anonymous
		return nil
	}
	for _, known := range c.Users {
		if known.Name != name {
			continue
		}
		from := known.User
		switch {
		case from.Provider != nil:
			return fmt.Errorf("user %q: auth-provider was removed from Kubernetes 1.26: use exec", name)
		case len(from.AsExtra) > 0:
			return fmt.Errorf("user %q: as-user-extra isn't supported", name)
		}
		a.token, a.tokenFile = from.Token, inDir(from.dir, from.TokenFile)
		a.user, a.pass = from.Username, from.Password
		a.as, a.asUID, a.asGroups = from.As, from.AsUID, from.AsGroups
		if a.exec = from.Exec; a.exec != nil {
			if err := a.exec.check(from.dir); err != nil {
				return fmt.Errorf("user %q: %w", name, err)
			}
		}
		if a.cert, err = pemOf(from.dir, from.CertFile, from.CertData); err != nil {
			return err
		}
		a.key, err = pemOf(from.dir, from.KeyFile, from.KeyData)
		return err
	}
	return fmt.Errorf("no user is named %q", name)
}

func pemOf(dir, file, data string) (pemText, error) {
	if data == "" {
		return pemText{file: inDir(dir, file)}, nil
	}
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return pemText{}, fmt.Errorf("certificate data: %w", err)
	}
	return pemText{data: string(text)}, nil
}

// inDir returns the path of a file that a kubeconfig names: relative ones are relative to the kubeconfig.
func inDir(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// podDir is where Kubernetes mounts the account of a pod.
var podDir = "/var/run/secrets/kubernetes.io/serviceaccount"

func podAccess() (*access, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errNoConfig
	}
	return &access{
		server:    "https://" + net.JoinHostPort(host, port),
		ca:        pemText{file: filepath.Join(podDir, "ca.crt")},
		tokenFile: filepath.Join(podDir, "token"),
	}, nil
}
