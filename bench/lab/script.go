package lab

import "fmt"

// sshScripts are user names: one guesses a password, one guesses users.
func sshScripts() [][]string {
	return [][]string{
		{"root"},
		{"admin", "oracle", "postgres", "test", "ubuntu", "git", "www", "ftp", "guest", "pi", "deploy", "jenkins"},
	}
}

// webScripts are paths: missing pages, files that should not be there, ways out of the root.
func webScripts() [][]string {
	return [][]string{
		numbered("/missing-%d.php", 40),
		append([]string{"/.env", "/.git/config", "/.aws/credentials", "/backup.sql", "/id_rsa", "/phpinfo.php"}, numbered("/.env.%d", 30)...),
		append([]string{"/../../etc/passwd", "/..%2f..%2fetc/shadow", "/static/../../../etc/hosts"}, numbered("/../../../../srv/%d", 30)...),
	}
}

func numbered(format string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i+1)
	}
	return out
}
