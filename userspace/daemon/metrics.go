package daemon

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// collector reads one package's Stats when somebody asks; nothing is counted twice.
type collector struct {
	prefix  string
	collect func(emit)
}

// emit hands over one number; labels are name, value, name, value.
type emit func(name, help string, kind prometheus.ValueType, v float64, labels ...string)

// Describe implements prometheus.Collector; what there is depends on what runs.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.collect(func(name, help string, kind prometheus.ValueType, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		desc := prometheus.NewDesc("gabion_"+c.prefix+name, help, names, nil)
		ch <- prometheus.MustNewConstMetric(desc, kind, v, values...)
	})
}

// registry returns everything that the daemon measures.
func (d *Daemon) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{"", d.collectBuild},
		collector{"engine_", d.collectEngine},
		collector{"bucket_", d.collectBuckets},
		collector{"source_", d.collectSources},
		collector{"enforce_", d.collectEnforce},
		collector{"enforce_", d.collectLists},
		collector{"store_", d.collectStore},
		collector{"kernel_", d.collectKernel},
		collector{"meter_", d.collectMeters},
		collector{"connections_", d.collectClosing},
	)
	return r
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

func (d *Daemon) collectBuild(emit emit) {
	emit("build_info", "Version of the program; the value is always 1.", gauge, 1, "version", d.version, "go", runtime.Version())
	emit("problems", "Parts that do not work now; gabion status names them.", gauge, float64(len(d.health.List())))
}

func (d *Daemon) collectEngine(emit emit) {
	s := d.engine.Stats()
	emit("lines_total", "Events that came in.", counter, float64(s.Lines))
	emit("parsed_total", "Events that went on to the scenarios.", counter, float64(s.Parsed))
	emit("unparsed_total", "Events that no parser took.", counter, float64(s.Unparsed))
	emit("whitelisted_total", "Events that a whitelist took out.", counter, float64(s.Whitelisted))
	emit("undated_total", "Parsed events without a usable time.", counter, float64(s.Undated))
	emit("whitelisted_overflows_total", "Overflows that a whitelist took out.", counter, float64(s.WhitelistedOverflows))
	emit("dropped_overflows_total", "Overflows fed back too often.", counter, float64(s.DroppedOverflows))
	emit("alerts_total", "Alerts raised.", counter, float64(s.Alerts))
	emit("decisions_total", "Decisions that profiles took.", counter, float64(s.Decisions))
	for _, r := range s.Rules {
		emit("rule_events_total", "Events that the rule was asked about.", counter, float64(r.Events), "rule", r.Name)
		emit("rule_cost_seconds", "Mean time that the rule takes for an event, of one in 127.", gauge, r.Cost.Seconds(), "rule", r.Name)
		emit("rule_matches_total", "Events that the rule's filter took.", counter, float64(r.Matches), "rule", r.Name)
		emit("rule_overflows_total", "Overflows of the rule.", counter, float64(r.Overflows), "rule", r.Name)
		emit("rule_errors_total", "Expressions of the rule that failed.", counter, float64(r.Errors), "rule", r.Name)
	}
	book := d.book.Load()
	emit("scenarios", "Scenarios loaded.", gauge, float64(len(book.Rules.Scenarios)))
	emit("rule_faults", "Faults that left rules out.", gauge, float64(len(book.Faults)))
}

func (d *Daemon) collectSources(emit emit) {
	for _, in := range d.inputs {
		name := in.Name()
		s := in.Status()
		running := 0.0
		if s.Running {
			running = 1
		}
		emit("events_total", "Events read from the source.", counter, float64(s.Events), "source", name)
		emit("restarts_total", "Times the source was started again after a failure.", counter, float64(s.Restarts), "source", name)
		emit("running", "1 while the source runs.", gauge, running, "source", name)
	}
}

func (d *Daemon) collectEnforce(emit emit) {
	s := d.enforcer.Stats()
	emit("decisions", "Decisions in force.", gauge, float64(s.Active))
	emit("banned_total", "Decisions accepted.", counter, float64(s.Banned))
	emit("refused_total", "Decisions refused because of what they would have banned.", counter, float64(s.Refused))
	emit("kernel_errors_total", "Entries that the kernel did not take at first.", counter, float64(s.KernelErrors))
	if !s.Reconciled.IsZero() {
		emit("last_reconcile_timestamp_seconds", "When kernel and decisions were last compared.", gauge, float64(s.Reconciled.Unix()))
	}
	d.drift.mu.Lock()
	defer d.drift.mu.Unlock()
	const help = "Entries in which kernel and decisions differed; all are repaired."
	emit("drift_total", help, counter, float64(d.drift.missing), "kind", "missing")
	emit("drift_total", help, counter, float64(d.drift.wrong), "kind", "wrong")
	emit("drift_total", help, counter, float64(d.drift.extra), "kind", "extra")
	emit("drift_total", help, counter, float64(d.drift.allows), "kind", "allow")
	emit("drift_total", help, counter, float64(d.drift.adopted), "kind", "adopted")
	emit("reconciles_total", "Comparisons of kernel and decisions.", counter, float64(d.drift.runs))
	emit("reconcile_failures_total", "Comparisons that failed.", counter, float64(d.drift.failures))
}

func (d *Daemon) collectStore(emit emit) {
	s := d.record.Stats()
	writable := 1.0
	if s.Err != nil {
		writable = 0
	}
	emit("queued", "Alerts that wait to be recorded.", gauge, float64(s.Queued))
	emit("written_total", "Alerts recorded.", counter, float64(s.Written))
	emit("unrecorded_total", "Alerts given up.", counter, float64(s.Unrecorded))
	emit("bad_rows_total", "Rows found unreadable.", counter, float64(s.BadRows))
	emit("writable", "1 while recording works.", gauge, writable)
}

func (d *Daemon) collectKernel(emit emit) {
	if d.plane == nil {
		return
	}
	s, err := d.plane.Stats()
	if err != nil {
		d.log.Warn("kernel counters not read", "err", err)
		return
	}
	for _, c := range s.Counters() {
		if c.Family == "" {
			emit(c.Name+"_total", c.Help, counter, float64(c.Value))
			continue
		}
		emit(c.Name+"_total", c.Help, counter, float64(c.Value), "family", c.Family)
	}
	for _, i := range d.links.Status() {
		up := 0.0
		if i.Mode != "" {
			up = 1
		}
		emit("protected", "1 while the filter runs on the interface.", gauge, up, "interface", i.Name, "mode", i.Mode)
	}
}

func (d *Daemon) collectBuckets(emit emit) {
	s := d.engine.Stats().Buckets
	emit("live", "Live buckets.", gauge, float64(s.Live))
	emit("bytes", "Memory of the buckets.", gauge, float64(s.Bytes))
	emit("poured_total", "Events that a bucket counted.", counter, float64(s.Poured))
	emit("overflows_total", "Overflows.", counter, float64(s.Overflows))
	emit("muted_total", "Overflows during a blackhole.", counter, float64(s.Muted))
	emit("filtered_total", "Overflows that overflow_filter refused.", counter, float64(s.Filtered))
	emit("lost_total", "Overflows whose events name no valid source.", counter, float64(s.Lost))
	emit("repeated_total", "Events that distinct left out.", counter, float64(s.Repeated))
	emit("cancelled_total", "Buckets that cancel_on ended.", counter, float64(s.Cancelled))
	emit("expired_total", "Buckets that leaked empty.", counter, float64(s.Expired))
	emit("evicted_total", "Buckets that ended early because the table was full.", counter, float64(s.Evicted))
	if at := d.saved.Load(); at != nil {
		emit("last_save_timestamp_seconds", "When the buckets were last saved.", gauge, float64(at.Unix()))
	}
}
