package main

import (
	"github.com/spf13/cobra"

	"gabion/userspace/config"
)

// app is what all verbs share: the world and the global flags.
type app struct {
	env
	output  string
	config  string
	socket  string
	keyFile string
}

const rootLong = `gabion reads logs and kernel connection events, decides who is an attacker, and drops
that source in the network driver before the kernel builds a packet buffer.

'gabion run' is the daemon. The other verbs ask it over its Local API, or read the
pinned kernel maps when it does not run. Bans, the allowlist and imported lists can be
changed without it.`

const rootExample = `  gabion run                          start the daemon with useful defaults
  gabion decisions list               who is banned now
  gabion why 192.0.2.1                why, until when, and how much was dropped
  gabion doctor                       check this machine before protecting it`

func newRoot(e env) *cobra.Command {
	a := &app{env: e}
	root := &cobra.Command{
		Use:           "gabion",
		Short:         "Detect attacks and drop them in the kernel",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != outputHuman && a.output != outputJSON {
				return usagef("unknown output format %q: use --output human or --output json", a.output)
			}
			a.config = orText(a.config, a.getenv("GABION_CONFIG"))
			return nil
		},
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetIn(e.stdin)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", outputHuman, "output format: human or json")
	flags.StringVarP(&a.config, "config", "c", "", "the daemon's file (default from $GABION_CONFIG, then "+config.DefaultFile+" when it exists)")
	flags.StringVar(&a.socket, "socket", "", "socket or URL of the daemon (default from $GABION_SOCKET, then the daemon's file)")
	flags.StringVar(&a.keyFile, "key-file", "", "file with the API key (default api.key in the state directory)")
	formats := cobra.FixedCompletions([]cobra.Completion{outputHuman, outputJSON}, cobra.ShellCompDirectiveNoFileComp)
	if err := root.RegisterFlagCompletionFunc("output", formats); err != nil {
		panic(err) // the flag is named differently above
	}
	root.AddCommand(verbs(a)...)
	return root
}

// verbs is the table of all commands.
func verbs(a *app) []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(a),
		newDecisionsCommand(a),
		newAlertsCommand(a),
		newAllowCommand(a),
		newListsCommand(a),
		newWhyCommand(a),
		newDropsCommand(a),
		newVerifyCommand(a),
		newMetricsCommand(a),
		newStatusCommand(a),
		newKernelCommand(a),
		newDoctorCommand(a),
		newReplayCommand(a),
		newExplainCommand(a),
		newHubtestCommand(a),
		newLabCommand(a),
		newBenchCommand(a),
		newRulesCommand(a),
		newVersionCommand(a),
	}
}

// noArgs, oneArg and maxOneArg are cobra's checks with the exit code of a usage mistake.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command or argument %q for %q", args[0], cmd.CommandPath())
	}
	return nil
}

func oneArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("expected one argument, %s, got %d", name, len(args))
		}
		return nil
	}
}

func maxOneArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("expected at most one argument, %s, got %d", name, len(args))
		}
		return nil
	}
}

// group returns a command that only holds others.
func group(use, short, example string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usagef("%q needs a verb", cmd.CommandPath())
		},
	}
	cmd.AddCommand(children...)
	return cmd
}
