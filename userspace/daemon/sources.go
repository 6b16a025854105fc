package daemon

import (
	"fmt"
	"slices"

	"gabion/userspace/config"
	"gabion/userspace/daemon/inputs"
	"gabion/userspace/daemon/links"
	"gabion/userspace/source/file"
	"gabion/userspace/source/kinds"
	"gabion/userspace/yamlpos"
)

// checkSources returns the number of sources and what is wrong with any of them.
func checkSources(cfg *config.Config) (int, error) {
	docs, err := inputs.Docs(cfg)
	if err != nil {
		return 0, err
	}
	var errs yamlpos.Errors
	for _, doc := range docs {
		errs.Add(doc.Pos(), kinds.Check(doc))
	}
	return len(docs), errs.Err()
}

// openSources makes the sources. One with a fault stops the start: a daemon that silently does not
// read a log protects nobody. Nothing is read before the tasks run.
func (d *Daemon) openSources(cfg *config.Config) error {
	docs, err := inputs.Docs(cfg)
	if err != nil {
		return err
	}
	deps := kinds.Deps{StateDir: cfg.StateDir, Offsets: file.NewOffsets(cfg.StateDir), Log: d.log, Now: d.now}
	if d.plane != nil {
		deps.KernelEvents = d.kernelEvents
	}
	var errs yamlpos.Errors
	for _, doc := range docs {
		if d.plane == nil && isKernel(doc) {
			d.log.Warn("kernel events are not read, for kernel.mode is off", "source", doc.Pos())
			continue
		}
		s, err := kinds.Decode(doc, deps)
		if err != nil {
			errs.Add(doc.Pos(), err)
			continue
		}
		d.inputs = append(d.inputs, inputs.New(d.inputName(s.String()), s))
	}
	return errs.Err()
}

// inputName makes a source's name unique, for metrics are told apart by it.
func (d *Daemon) inputName(name string) string {
	unique := name
	for n := 2; slices.ContainsFunc(d.inputs, func(in *inputs.Input) bool { return in.Name() == unique }); n++ {
		unique = fmt.Sprintf("%s#%d", name, n)
	}
	return unique
}

func isKernel(doc *yamlpos.Document) bool {
	var keys map[string]any
	return doc.Decode(&keys) == nil && keys["source"] == "kernel"
}

// Interfaces returns the interfaces that a configuration protects.
func Interfaces(cfg *config.Config) ([]string, error) {
	if len(cfg.Interfaces) > 0 {
		return cfg.Interfaces, nil
	}
	return links.OfDefaultRoutes()
}
