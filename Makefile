# Thin on purpose: everything with logic is `cargo xtask`.
.PHONY: up test check show

up:      ## build what is missing, then run everything on this machine
	cargo xtask up $(ARGS)

test:    ## set-up, format, lints, arrows, unit, integration and browser tests
	cargo xtask test

check:   ## format, lints, arrows, tidiness
	cargo xtask check

show:    ## NAME=… : run one of the acceptance figures and note it in docs/evidence.md
	cargo xtask show $(NAME)
