# Thin on purpose: everything with logic is `cargo xtask`. Only what cargo itself needs is looked after before it.
.PHONY: up test check fuzz show

up:      ## build what is missing, then run everything on this machine
	@sh xtask/machine.sh up
	@cargo build --package xtask
	cargo xtask up $(ARGS)

test:    ## set-up, format, lints, arrows, unit, integration and browser tests
	@sh xtask/machine.sh test
	@cargo build --package xtask
	cargo xtask test

check:   ## format, lints, arrows, tidiness
	@sh xtask/machine.sh build
	cargo xtask check

fuzz:    ## TARGET=… SECS=… : fuzz one reader of bytes, or all of them, going on where the last run stopped
	@sh xtask/machine.sh fuzz
	cargo xtask fuzz $(or $(TARGET),all) $(SECS)

show:    ## NAME=… : run one of the acceptance figures and note it in docs/evidence.md
	@sh xtask/machine.sh test
	cargo xtask show $(NAME)
