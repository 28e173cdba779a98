package kuberay

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// store holds the objects as they were last seen, by what they belong to. It is used by one goroutine.
type store struct {
	clusters map[string]*rayCluster           // by namespace/name
	pods     map[string]map[string]*pod       // by what they belong to, then by namespace/name
	events   map[string]map[string]*kubeEvent // by what they are about, then by their own key
	works    map[string]map[string]*workload  // by the RayJob's UID, then by namespace/name
	gangs    map[string]*podGroup             // by namespace/name
	endings  map[string][]ending              // by what the pods belonged to
	at       map[string]map[string]string     // per resource: what an object belongs to, by its key
	known    map[string]bool                  // resources that were listed, or can't be, by their id
	lacks    map[string]string                // missing rights, by resource
	absent   map[string]bool                  // resources that the API server doesn't know
	places   map[string]map[string]place      // by namespace/queue, then by the workload's name
}

func newStore() *store {
	return &store{
		clusters: map[string]*rayCluster{}, pods: map[string]map[string]*pod{}, events: map[string]map[string]*kubeEvent{},
		works: map[string]map[string]*workload{}, gangs: map[string]*podGroup{}, endings: map[string][]ending{},
		at: map[string]map[string]string{}, known: map[string]bool{}, lacks: map[string]string{}, absent: map[string]bool{}, places: map[string]map[string]place{},
	}
}

// complete reports whether everything was read that there is: before that, what isn't there proves nothing.
func (s *store) complete() bool { return len(s.known) == 1+len(others) }

func (m *metadata) key() string { return m.Namespace + "/" + m.Name }

// clusterOf and submitterOf are what a pod belongs to.
func clusterOf(namespace, name string) string   { return "RayCluster " + namespace + "/" + name }
func submitterOf(namespace, name string) string { return "RayJob " + namespace + "/" + name }

func (p *pod) belongs() string {
	if cluster := p.Metadata.Labels["ray.io/cluster"]; cluster != "" {
		return clusterOf(p.Metadata.Namespace, cluster)
	}
	for _, o := range p.Metadata.Owners { // the Job that submits has the RayJob's name
		if o.Kind == "Job" {
			return submitterOf(p.Metadata.Namespace, o.Name)
		}
	}
	return submitterOf(p.Metadata.Namespace, p.Metadata.Labels["job-name"])
}

func about(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// set replaces an object in a map of maps, and returns what it belonged to before.
func set[T any](all map[string]map[string]T, at map[string]string, owner, key string, v T) {
	if before, ok := at[key]; ok && before != owner {
		drop(all, at, key)
	}
	if all[owner] == nil {
		all[owner] = map[string]T{}
	}
	all[owner][key] = v
	at[key] = owner
}

func drop[T any](all map[string]map[string]T, at map[string]string, key string) {
	owner, ok := at[key]
	if !ok {
		return
	}
	delete(at, key)
	if delete(all[owner], key); len(all[owner]) == 0 {
		delete(all, owner)
	}
}

// take applies a change of a resource. It returns what is concerned: the RayJobs of these clusters, names and UIDs.
func (s *store) take(r *resource, object json.RawMessage, gone bool) (concerned string, err error) {
	at := s.at[r.id]
	if at == nil {
		at = map[string]string{}
		s.at[r.id] = at
	}
	switch r.kind {
	case "RayCluster":
		c, err := decodeAs[rayCluster](object)
		key := c.Metadata.key()
		if s.clusters[key] = c; gone || err != nil {
			delete(s.clusters, key)
		}
		at[key] = clusterOf(c.Metadata.Namespace, c.Metadata.Name)
		return at[key], err
	case "Pod":
		p, err := decodeAs[pod](object)
		if err != nil {
			return "", err
		}
		owner, key := p.belongs(), p.Metadata.key()
		s.ended(owner, p)
		if gone {
			drop(s.pods, at, key)
		} else {
			set(s.pods, at, owner, key, p)
		}
		return owner, nil
	case "Event":
		e, err := decodeAs[kubeEvent](object)
		if err != nil || gone { // events expire after an hour; what was seen is kept until it is too old to bear anything
			return "", err
		}
		if !wanted(e.Reason) {
			return "", nil
		}
		owner := about(e.About.Kind, e.About.Namespace, e.About.Name)
		set(s.events, at, owner, e.Metadata.key(), e)
		return owner, nil
	case "Workload":
		w, err := decodeAs[workload](object)
		if err != nil {
			return "", err
		}
		owner, key := w.rayJob(), w.Metadata.key()
		if gone || owner == "" {
			drop(s.works, at, key)
		} else {
			set(s.works, at, owner, key, w)
		}
		return owner, nil
	case "PodGroup":
		g, err := decodeAs[podGroup](object)
		key := g.Metadata.key()
		if s.gangs[key] = g; gone || err != nil {
			delete(s.gangs, key)
		}
		at[key] = "PodGroup " + key
		return at[key], err
	}
	return "", nil
}

// rayJob returns the UID of the RayJob that a workload is for, or "".
func (w *workload) rayJob() string {
	for _, o := range w.Metadata.Owners {
		if o.Kind == "RayJob" {
			return o.UID
		}
	}
	if len(w.Metadata.Owners) == 0 {
		return w.Metadata.Labels["kueue.x-k8s.io/job-uid"]
	}
	return ""
}

// keepOnly forgets the objects of a resource that a whole list doesn't have, and returns what they belonged to.
func (s *store) keepOnly(r *resource, listed map[string]bool) (concerned []string) {
	at := s.at[r.id]
	for key, owner := range at {
		if listed[key] {
			continue
		}
		switch r.kind {
		case "RayCluster":
			delete(s.clusters, key)
		case "PodGroup":
			delete(s.gangs, key)
		case "Pod":
			drop(s.pods, at, key)
		case "Workload":
			drop(s.works, at, key)
		case "Event":
			continue
		}
		delete(at, key)
		concerned = append(concerned, owner)
	}
	return concerned
}

// ended keeps how a pod ended, for under autoscaler version 2 KubeRay replaces pods that end instead of having them
// restarted: each new one looks as if it were the first.
func (s *store) ended(owner string, p *pod) {
	if p.role() == submitter {
		return
	}
	e := ending{group: p.group(), pod: p.Metadata.UID}
	switch _, t := p.ended(); {
	case p.Status.Reason == "Evicted":
		e.code, e.detail, e.at = evicted, sentence(p.name(), "Evicted", p.Status.Message), p.lastChange()
	case t != nil && p.condition("DisruptionTarget").is("True"):
		e.code, e.detail, e.at = preempted, sentence(p.name(), p.condition("DisruptionTarget").Message), t.At
	case t != nil && p.Metadata.DeletionTimestamp == nil && p.Status.Phase == "Failed":
		e.code, e.detail, e.at = crashLoop, sentence(p.name(), exit(t), t.Message), t.At
		if t.Reason == "OOMKilled" {
			e.code = outOfMemory
		}
	default:
		return
	}
	if slices.ContainsFunc(s.endings[owner], func(o ending) bool { return o.pod == e.pod }) {
		return
	}
	s.endings[owner] = append(s.endings[owner], e)
	s.endings[owner] = s.endings[owner][max(0, len(s.endings[owner])-endingsKept):]
}

// endingsKept is how many ends of pods are kept of a cluster.
const endingsKept = 32

// happened returns the latest events about an object. With a UID, those about an earlier object of that name are left out.
func (s *store) happened(kind, namespace, name, uid string) happened {
	all := s.events[about(kind, namespace, name)]
	if uid == "" {
		return all
	}
	out := happened{}
	for key, e := range all {
		if e.About.UID == "" || e.About.UID == uid {
			out[key] = e
		}
	}
	return out
}

// prune forgets events and ends of pods that are too old to bear anything.
func (s *store) prune(now time.Time) {
	at := s.at["events"]
	for _, all := range s.events {
		for key, e := range all {
			if now.Sub(e.seen()) > eventsKept {
				drop(s.events, at, key)
			}
		}
	}
	for owner, all := range s.endings {
		all = slices.DeleteFunc(all, func(e ending) bool { return now.Sub(e.at) > 2*loopWithin })
		if s.endings[owner] = all; len(all) == 0 {
			delete(s.endings, owner)
		}
	}
}

const eventsKept = 2 * time.Hour

// situation collects what is known of a RayJob.
func (s *store) situation(j *rayJob, now time.Time) *situation {
	ns := j.Metadata.Namespace
	out := &situation{
		now: now, job: j, lacks: s.lacks, absent: s.absent, endings: s.endings[clusterOf(ns, j.Status.ClusterName)],
		events: func(kind, name, uid string) happened { return s.happened(kind, ns, name, uid) }, places: map[string]place{},
	}
	if j.Status.ClusterName != "" {
		out.cluster = s.clusters[ns+"/"+j.Status.ClusterName]
		for _, p := range s.pods[clusterOf(ns, j.Status.ClusterName)] {
			out.pods = append(out.pods, p)
		}
		out.gang = s.gangs[ns+"/ray-"+j.Status.ClusterName+"-pg"]
	}
	for _, p := range s.pods[submitterOf(ns, j.Metadata.Name)] {
		out.pods = append(out.pods, p)
	}
	slices.SortFunc(out.pods, func(a, b *pod) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	if g := s.gangs[ns+"/ray-"+j.Metadata.Name+"-pg"]; g != nil { // of a RayJob, KubeRay makes one for cluster and submitter
		out.gang = g
	}
	for _, w := range s.works[j.Metadata.UID] {
		out.works = append(out.works, w)
		known := s.places[ns+"/"+w.Spec.Queue]
		if p, ok := known[w.Metadata.Name]; ok {
			out.places[w.Metadata.Name] = p
		} else {
			out.places[w.Metadata.Name] = known[""]
		}
	}
	slices.SortFunc(out.works, func(a, b *workload) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	return out
}
