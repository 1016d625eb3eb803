package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// prefix begins the name of every metric of ours.
const prefix = "flowshunt_"

// definition is one metric: what is exposed and what the reference page says come
// from it alone.
type definition struct {
	name   string
	help   string
	labels []string
	kind   prometheus.ValueType // of a histogram none
	desc   *prometheus.Desc

	buckets []float64 // of a histogram
}

func gauge(name, help string, labels ...string) *definition {
	return define(&definition{name: name, help: help, labels: labels, kind: prometheus.GaugeValue})
}

func counter(name, help string, labels ...string) *definition {
	return define(&definition{name: name, help: help, labels: labels, kind: prometheus.CounterValue})
}

func histogram(name string, buckets []float64, help string, labels ...string) *definition {
	return define(&definition{name: name, help: help, labels: labels, buckets: buckets})
}

func define(d *definition) *definition {
	d.name = prefix + d.name
	d.desc = prometheus.NewDesc(d.name, d.help, d.labels, nil)
	return d
}

// typ returns the word that the exposition has for it.
func (d *definition) typ() string {
	switch {
	case d.buckets != nil:
		return "histogram"
	case d.kind == prometheus.CounterValue:
		return "counter"
	}
	return "gauge"
}

// value makes a metric of a value that was read somewhere else. What comes from
// outside, as names of ports, need not be text.
func (d *definition) value(v float64, labels ...string) prometheus.Metric {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "?")
	}
	m, err := prometheus.NewConstMetric(d.desc, d.kind, v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(d.desc, err)
	}
	return m
}

func (d *definition) counterVec() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.labels)
}

func (d *definition) newCounter() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: d.name, Help: d.help})
}

func (d *definition) newGauge() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: d.name, Help: d.help})
}

func (d *definition) newHistogram() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: d.buckets})
}

func (d *definition) histogramVec() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: d.buckets}, d.labels)
}
