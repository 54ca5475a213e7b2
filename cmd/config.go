// This file is `afterchat config`.

package cmd

type configCommand struct {
	Print configPrintCommand `cmd:"" help:"Print the effective configuration: all files together, every default, secrets as ***."`
}

type configPrintCommand struct{}

// Run prints what the configuration comes to, as YAML that could be the configuration itself but for the secrets.
func (configPrintCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	return cfg.WriteMasked(p.stdout)
}
