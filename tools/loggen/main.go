// Command loggen writes logs of made-up servers, to measure the engine with: the same options give
// the same bytes.
//
//	go run ./tools/loggen --kind auth >auth.log
//	go run ./tools/loggen --kind nginx --lines 10000 --seed 7 >access.log
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"gabion/tools/loggen/logs"
)

func main() {
	if err := run(os.Stdout, os.Stderr, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "loggen:", err)
		os.Exit(1)
	}
}

func run(out, messages io.Writer, args []string) error {
	var o logs.Options
	var name string
	flags := flag.NewFlagSet("loggen", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.Usage = func() { usage(messages, flags) }
	flags.StringVar(&name, "kind", "", "kind of log")
	flags.IntVar(&o.Lines, "lines", 0, "lines")
	flags.IntVar(&o.Sources, "sources", 0, "addresses of attackers; of a short log fewer come")
	flags.IntVar(&o.Hostile, "hostile", 0, "lines of attackers, in a thousand")
	flags.DurationVar(&o.Span, "span", 0, "from the first line to the last")
	flags.Uint64Var(&o.Seed, "seed", 1, "another seed gives another log")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	kind, err := logs.Named(name)
	if err != nil {
		return fmt.Errorf("%w: --kind is one of%s", err, names())
	}
	return kind.Write(out, o)
}

func names() (list string) {
	for _, k := range logs.Kinds() {
		list += " " + k.Name
	}
	return list
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, "usage: go run ./tools/loggen --kind KIND [options] >FILE\n\nKinds, and what the options are without being given:\n")
	for _, k := range logs.Kinds() {
		d := k.Defaults
		fmt.Fprintf(w, "  %-9s %s;\n            %d lines in %v, %d of 1000 hostile, from %d addresses; type %s\n", k.Name, k.About, d.Lines, d.Span, d.Hostile, d.Sources, k.Type)
	}
	fmt.Fprintln(w, "\nOptions:")
	flags.PrintDefaults()
}
