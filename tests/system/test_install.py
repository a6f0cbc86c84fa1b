"""What cmake --install and cpack make of a build: a tree that programs of others build on, and Debian packages."""

import shutil
import subprocess
import unittest

from federation import ECHO, FederationTest, NODE, ROOT, main

BUILD = NODE.parent


class Installation(FederationTest):
    def say(self, *command):
        """Runs a command; returns what it said on stdout."""
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def test_programs_of_others_build_on_an_installed_tree(self):
        tree = self.folder / "tree"
        self.say("cmake", "--install", BUILD, "--prefix", tree)
        node = tree / "bin" / "fl_actor_node"
        for path in ["share/man/man1/fl_actor_node.1", "share/bash-completion/completions/fl_actor_node",
                     "share/zsh/vendor-completions/_fl_actor_node", "share/fl_actor/systemd/fl-client.service",
                     *(f"share/doc/fl_actor/{page}.md" for page in ["README", "CHANGELOG", "CONTRIBUTING"])]:
            self.assertGreater((tree / path).stat().st_size, 500, path)
        self.say(node, "config", "check", *(tree / "share/fl_actor/configs").glob("*.toml"))

        self.say("cmake", "-S", ROOT / "examples/embedding", "-B", "build", f"-DCMAKE_PREFIX_PATH={tree}")
        self.say("cmake", "--build", "build")

        # Of the echo trainer's one sample: min(1, 500) · 2^(−τ / 4).
        ending = ["--no-progress", "--set", "run.max_versions=6", "--set", "store.durability=update", "--set",
                  "store.keep_updates=true"]
        self.say("build/own_strategy", "--role", "simulate", "--out", "capped", *ending, "--set",
                 "strategy.name=fedasync_delta", *(part for setting in ECHO for part in ("--set", setting)))
        columns, *rows = [line.split(",") for line in self.say(node, "export", "capped", "--format",
                                                               "updates-csv").splitlines()]
        accepted = [dict(zip(columns, row)) for row in rows if "none" in row]
        self.assertGreaterEqual(len(accepted), 6)
        for update in accepted:
            self.assertAlmostEqual(float(update["weight"]), 2 ** (-int(update["staleness"]) / 4), places=6)

        self.say("build/own_trainer", "--role", "simulate", "--out", "own", *ending, "--set", "model.name=logistic",
                 "--set", "data.name=synthetic_logistic", "--set", "clients.count=10", "--set",
                 "strategy.name=fedavg")
        self.assertGreater(self.summary(self.folder / "own")["final_accuracy"], 0.3, "ten classes: 0.1 is chance")
        for program, run in [("own_strategy", "capped"), ("own_trainer", "own")]:
            self.assertIn("which is the model of summary.json", self.say(f"build/{program}", "replay", run))

    @unittest.skipUnless(all(map(shutil.which, ["cpack", "dpkg-shlibdeps", "file"])), "no tools to make packages with")
    def test_debian_packages(self):
        self.say("cpack", "-G", "DEB", "-B", "packages", "--config", BUILD / "CPackConfig.cmake")
        program, = (self.folder / "packages").glob("fl-actor_*.deb")
        development, = (self.folder / "packages").glob("fl-actor-dev_*.deb")
        self.assertRegex(self.say("dpkg-deb", "-f", program, "Depends"), r"libcaf-core.*libsqlite3-0")
        self.assertIn("libcaf-dev", self.say("dpkg-deb", "-f", development, "Depends"))
        self.say("dpkg-deb", "-x", program, "root")
        self.assertIn("fl_actor_node ", self.say("root/usr/bin/fl_actor_node", "--version"))
        self.assertIn("fl_actorConfig.cmake", self.say("dpkg-deb", "-c", development))


if __name__ == "__main__":
    main()
