package logs

// auth writes the auth.log of a server.
type auth struct {
	attacks stage
	noise   session  // of the routine that is being written
	routine []string // lines of it that are to come
}

// Attacks on sshd that are under way at a time.
const attacksAtATime = 8

func newAuth(s *scene) writer {
	hostile := int(int64(s.Lines) * int64(s.Hostile) / 1000)
	return &auth{attacks: newStage(newCrowd(attacker, s.Sources, hostile), attacksAtATime)}
}

func (a *auth) line(b []byte, s *scene) []byte {
	b = s.syslog(b)
	if s.Sources > 0 && s.chance(s.Hostile) {
		on := a.attacks.turn(s, beginTry)
		return attack(b, s, on)
	}
	if len(a.routine) == 0 {
		a.routine = routines[s.few(len(routines))]
		a.noise = session{
			from: v4(203<<24 | 113<<8 | uint32(s.between(1, 40))), user: pick(&s.random, staff[:]),
			port: s.between(32768, 60999), pid: s.between(1000, 99_999),
		}
	}
	template := a.routine[0]
	a.routine = a.routine[1:]
	return s.expand(b, template, &a.noise)
}

// beginTry prepares the next try of an attacker to log in.
func beginTry(on *session, s *scene) {
	on.step, on.port, on.pid = 0, s.between(32768, 60999), s.between(1000, 99_999)
	on.kind = tryKinds[s.below(len(tryKinds))]
	names := strangers[:]
	if on.kind == tryKnown {
		names = known[:]
	}
	on.user = names[s.few(len(names))]
}

// attack appends the next line of an attack on sshd.
func attack(b []byte, s *scene, on *session) []byte {
	script := tries[on.kind]
	b = s.expand(b, script[on.step], on)
	if on.step++; on.step == len(script) {
		beginTry(on, s)
	}
	return b
}

// failures writes nothing but failures of sshd, of one source after the other.
type failures struct{ written int }

func newFailures(*scene) writer { return &failures{} }

func (f *failures) line(b []byte, s *scene) []byte {
	on := session{from: attacker(f.written % max(1, s.Sources)), user: "root", port: s.between(32768, 60999), pid: s.between(1000, 99_999)}
	f.written++
	return s.expand(s.syslog(b), failedRoot, &on)
}

const failedRoot = "sshd[$n]: Failed password for $u from $i port $p ssh2"

// Kinds of tries.
const (
	tryKnown = iota
	tryUnknown
	tryUnknownBye
	tryClosed
	tryBanner
	tryKeys
	tryTimeout
)

// tryKinds are the kinds of tries, as often as they come.
var tryKinds = [...]int{
	tryKnown, tryKnown, tryKnown, tryKnown, tryKnown, tryKnown, tryKnown, tryUnknown, tryUnknown, tryUnknown,
	tryUnknown, tryUnknown, tryUnknownBye, tryUnknownBye, tryUnknownBye, tryClosed, tryClosed, tryBanner, tryKeys, tryTimeout,
}

// tries are the lines of each kind of try.
var tries = [...][]string{
	tryKnown: {
		"sshd[$n]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=$i  user=$u",
		failedRoot,
		"sshd[$n]: Connection closed by authenticating user $u $i port $p [preauth]",
	},
	tryUnknown: {
		"sshd[$n]: Invalid user $u from $i port $p",
		"sshd[$n]: Failed password for invalid user $u from $i port $p ssh2",
		"sshd[$n]: Connection closed by invalid user $u $i port $p [preauth]",
	},
	tryUnknownBye: {
		"sshd[$n]: Invalid user $u from $i port $p",
		"sshd[$n]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=$i",
		"sshd[$n]: Failed password for invalid user $u from $i port $p ssh2",
		"sshd[$n]: Received disconnect from $i port $p:11: Bye Bye [preauth]",
		"sshd[$n]: Disconnected from invalid user $u $i port $p [preauth]",
	},
	tryClosed:  {"sshd[$n]: Connection reset by $i port $p [preauth]"},
	tryBanner:  {"sshd[$n]: banner exchange: Connection from $i port $p: invalid format"},
	tryKeys:    {"sshd[$n]: Unable to negotiate with $i port $p: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1 [preauth]"},
	tryTimeout: {"sshd[$n]: fatal: Timeout before authentication for $i port $p"},
}

// routines are what a server logs all day, what comes most often first.
var routines = [...][]string{
	{
		"CRON[$n]: pam_unix(cron:session): session opened for user root(uid=0) by root(uid=0)",
		"CRON[$n]: pam_unix(cron:session): session closed for user root",
	},
	{
		"sshd[$n]: Accepted publickey for $u from $i port $p ssh2: ED25519 SHA256:$x$x",
		"sshd[$n]: pam_unix(sshd:session): session opened for user $u(uid=1000) by $u(uid=0)",
		"systemd-logind[612]: New session $d of user $u.",
		"sshd[$n]: Received disconnect from $i port $p:11: disconnected by user",
		"sshd[$n]: Disconnected from user $u $i port $p",
		"sshd[$n]: pam_unix(sshd:session): session closed for user $u",
		"systemd-logind[612]: Session $d logged out. Waiting for processes to exit.",
		"systemd-logind[612]: Removed session $d.",
	},
	{
		"CRON[$n]: (www-data) CMD (php -f /srv/cloud/cron.php)",
	},
	{
		"sudo:      $u : TTY=pts/0 ; PWD=/home/$u ; USER=root ; COMMAND=/usr/bin/systemctl status nginx",
		"sudo: pam_unix(sudo:session): session opened for user root(uid=0) by $u(uid=1000)",
		"sudo: pam_unix(sudo:session): session closed for user root",
	},
	{
		"systemd[1]: Starting apt-daily.service - Daily apt download activities...",
		"systemd[1]: apt-daily.service: Deactivated successfully.",
		"systemd[1]: Finished apt-daily.service - Daily apt download activities.",
	},
	{
		"sshd[$n]: Connection from $i port $p on 192.0.2.1 port 22 rdomain \"\"",
		"sshd[$n]: Accepted password for $u from $i port $p ssh2",
		"sshd[$n]: pam_unix(sshd:session): session opened for user $u(uid=1001) by $u(uid=0)",
		"systemd[1]: Started session-$d.scope - Session $d of User $u.",
		"sshd[$n]: pam_unix(sshd:session): session closed for user $u",
	},
	{
		"su[$n]: (to postgres) $u on pts/1",
		"su[$n]: pam_unix(su-l:session): session opened for user postgres(uid=115) by $u(uid=0)",
		"su[$n]: pam_unix(su-l:session): session closed for user postgres",
	},
	{
		"systemd-logind[612]: Power key pressed short.",
	},
	{
		"dbus-daemon[590]: [system] Successfully activated service 'org.freedesktop.timedate1'",
	},
}

// staff are users of the server, known the names that attackers know to exist, strangers those that
// they hope for: what comes most often first.
var (
	staff     = [...]string{"anna", "deploy", "backup", "jonas", "mira"}
	known     = [...]string{"root", "root", "www-data", "backup", "git", "nobody"}
	strangers = [...]string{
		"admin", "test", "user", "ubuntu", "oracle", "postgres", "ftpuser", "guest", "pi", "debian", "hadoop", "mysql",
		"jenkins", "support", "steam", "minecraft", "www", "dev", "nagios", "zabbix", "tomcat", "elastic", "odoo", "server",
		"ansible", "centos", "ec2-user", "demo", "web", "student", "teamspeak", "redis", "kafka", "sol", "validator", "vpn",
	}
)
