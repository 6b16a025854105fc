package logs

// What harmless requests are made of; where one is drawn with few, what comes most often first.
var (
	browsers = [...]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
	}
	crawlers = [...]string{
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
	}
	referrers = [...]string{"", "", "https://www.example.org/", "https://search.example.com/", "https://news.example.net/item/$d"}
	sections  = [...]string{"/articles/", "/articles/2026/", "/shop/item/", "/docs/guide/", "/people/"}
	words     = [...]string{
		"garden", "winter", "bread", "bicycle", "harbour", "lantern", "printer", "walnut", "ferry", "violin", "cabin", "orchard",
		"kettle", "meadow", "compass", "saddle", "glacier", "pottery", "thunder", "willow",
	}
	assets = [...]string{
		"/static/site.css?v=41", "/static/site.js?v=41", "/static/logo.svg", "/favicon.ico", "/static/fonts/text.woff2",
		"/media/$d/large.webp", "/media/$d/thumb.jpg", "/static/vendor.min.js", "/static/print.css", "/media/$d/cover.png",
	}
)

// Kinds of attacks on a web server.
const (
	attackProbe = iota
	attackLogin
	attackBasic
	attackAgent
	attackTraversal
	attackInjection
	attackScript
	attackProxy
	attackGarbage
)

// attackKinds are the kinds of attacks, as often as they come.
var attackKinds = [...]int{
	attackProbe, attackProbe, attackProbe, attackProbe, attackProbe, attackProbe, attackLogin, attackLogin, attackLogin, attackBasic,
	attackAgent, attackAgent, attackAgent, attackTraversal, attackInjection, attackScript, attackProxy, attackGarbage,
}

// assaults are the requests of each kind of attack, and who says to make them.
var assaults = [...]struct {
	agents   []string // empty: a browser
	requests []request
}{
	attackProbe: {requests: []request{
		{line: "GET /.env HTTP/1.1", status: 404}, {line: "GET /.git/config HTTP/1.1", status: 404},
		{line: "GET /wp-login.php HTTP/1.1", status: 404}, {line: "GET /wp-content/plugins/a$d/readme.txt HTTP/1.1", status: 404},
		{line: "GET /phpmyadmin/index.php HTTP/1.1", status: 404}, {line: "GET /backup-$d.sql HTTP/1.1", status: 404},
		{line: "GET /vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php HTTP/1.1", status: 404}, {line: "GET /server-status HTTP/1.1", status: 403},
		{line: "GET /admin/config$d.php HTTP/1.1", status: 404}, {line: "GET /solr/admin/info/system?wt=json HTTP/1.1", status: 404},
		{line: "GET /shell$d.php HTTP/1.1", status: 404}, {line: "GET /actuator/health HTTP/1.1", status: 404},
		{line: "GET /cgi-bin/luci/;stok=/locale HTTP/1.1", status: 404}, {line: "GET /manager/html HTTP/1.1", status: 403},
		{line: "GET /old/site$d.zip HTTP/1.1", status: 404}, {line: "GET /api/v1/users/$d HTTP/1.1", status: 404},
		{line: "GET /c99.php HTTP/1.1", status: 404}, {line: "GET /.aws/credentials HTTP/1.1", status: 404},
	}},
	attackLogin: {requests: []request{
		{line: "POST /wp-login.php HTTP/1.1", status: 200}, {line: "POST /xmlrpc.php HTTP/1.1", status: 403},
		{line: "POST /login HTTP/1.1", status: 401, referrer: "https://www.example.org/login"},
	}},
	attackBasic: {requests: []request{{line: "POST /admin/ HTTP/1.1", status: 401}}},
	attackAgent: {
		agents: []string{
			"sqlmap/1.8.2#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
			"masscan/1.3 (https://github.com/robertdavidgraham/masscan)", "Mozilla/5.0 zgrab/0.x", "WPScan v3.8.25 (https://wpscan.com/wordpress-security-scanner)",
			"Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "gobuster/3.6",
		},
		requests: []request{
			{line: "GET / HTTP/1.1", status: 200}, {line: "GET /index.php?id=$d HTTP/1.1", status: 404}, {line: "GET /$x HTTP/1.1", status: 404},
		},
	},
	attackTraversal: {requests: []request{
		{line: "GET /cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd HTTP/1.1", status: 400}, {line: "GET /static/../../../../etc/passwd?$d HTTP/1.1", status: 400},
		{line: "GET /download?file=../../../../etc/shadow&n=$d HTTP/1.1", status: 403},
	}},
	attackInjection: {requests: []request{
		{line: "GET /articles?id=$d'+UNION+SELECT+1,2,version()--+- HTTP/1.1", status: 200},
		{line: "GET /search?q=$d%27%20OR%20%271%27=%271 HTTP/1.1", status: 200},
		{line: "GET /shop/item?id=$d;SELECT+pg_sleep(5)-- HTTP/1.1", status: 500},
	}},
	attackScript: {requests: []request{
		{line: "GET /search?q=<script>alert($d)</script> HTTP/1.1", status: 200},
		{line: "GET /search?q=%22%3E%3Cimg%20src=x%20onerror=alert($d)%3E HTTP/1.1", status: 200},
	}},
	attackProxy: {
		agents:   []string{"Go-http-client/1.1", "python-requests/2.31.0"},
		requests: []request{{line: "CONNECT www.example.com:443 HTTP/1.1", status: 400}, {line: "GET http://www.example.com/ HTTP/1.1", status: 400}},
	},
	attackGarbage: {
		agents:   []string{"-"},
		requests: []request{{line: `\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03`, status: 400}, {line: "MGLNDD_192.0.2.1_443", status: 400}},
	},
}
