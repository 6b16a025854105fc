package logs

import (
	"strconv"
	"time"
)

// web writes the access log of a web server in nginx's combined format.
type web struct {
	attacks stage
	visits  stage
}

// Attacks and visits that are under way at a time.
const (
	webAttacksAtATime = 6
	visitsAtATime     = 48
)

// visitors is how many addresses the harmless have.
const visitors = 30_000

func newWeb(s *scene) writer {
	hostile := int(int64(s.Lines) * int64(s.Hostile) / 1000)
	return &web{
		attacks: newStage(newCrowd(attacker, s.Sources, hostile), webAttacksAtATime),
		visits:  newStage(newCrowd(visitor, visitors, s.Lines-hostile), visitsAtATime),
	}
}

func (w *web) line(b []byte, s *scene) []byte {
	if s.Sources > 0 && s.chance(s.Hostile) {
		on := w.attacks.turn(s, beginAttack)
		return s.access(b, on, assault(s, on))
	}
	on := w.visits.turn(s, beginVisit)
	return s.access(b, on, visit(s, on))
}

// request is a request and the answer to it. Path and referrer are templates.
type request struct {
	line     string // method and path; the whole request line when it has no protocol
	status   int
	size     int
	referrer string // "" is none
}

// access appends a line of the combined format.
func (s *scene) access(b []byte, on *session, r request) []byte {
	b = on.from.AppendTo(b)
	b = append(b, " - "...)
	b = append(append(b, or(on.user, "-")...), " ["...)
	b = time.Unix(s.now, 0).UTC().AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = s.expand(b, r.line, on)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.size), 10)
	b = append(b, ` "`...)
	b = s.expand(b, or(r.referrer, "-"), on)
	b = append(b, `" "`...)
	b = append(b, or(on.agent, "-")...)
	return append(b, '"')
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Kinds of visits.
const (
	visitReader = iota
	visitCrawler
	visitMonitor
	visitFeed
	visitClient
)

func beginVisit(on *session, s *scene) {
	on.step = 0
	switch n := s.below(100); {
	case n < 80:
		on.kind, on.agent = visitReader, browsers[s.few(len(browsers))]
	case n < 88:
		on.kind, on.agent = visitCrawler, pick(&s.random, crawlers[:])
	case n < 92:
		on.kind, on.agent = visitMonitor, "Uptime-Check/2.1"
	case n < 95:
		on.kind, on.agent = visitFeed, "FeedFetcher/4.0 (+https://feeds.example.net/about)"
	default:
		on.kind, on.agent, on.user = visitClient, "okhttp/4.12.0", pick(&s.random, staff[:])
	}
}

// visit returns the next request of someone harmless.
func visit(s *scene, on *session) request {
	on.step++
	switch on.kind {
	case visitCrawler:
		if on.step == 1 {
			return request{"GET /robots.txt HTTP/1.1", 200, 310, ""}
		}
		return request{"GET " + s.page() + " HTTP/1.1", 200, s.between(4_000, 60_000), ""}
	case visitMonitor:
		return request{"HEAD / HTTP/1.1", 200, 0, ""}
	case visitFeed:
		return request{"GET /feed.xml HTTP/1.1", pick(&s.random, []int{200, 304, 304, 304}), 0, ""}
	case visitClient:
		return request{"POST /api/v2/items/$d?expand=owner&page=$d HTTP/1.1", pick(&s.random, []int{200, 200, 201, 204}), s.between(40, 900), ""}
	}
	return s.read(on)
}

// read returns the next request of a reader: a page, then what belongs to it.
func (s *scene) read(on *session) request {
	const page = "https://www.example.org/"
	if on.step%7 != 1 {
		asset := assets[s.few(len(assets))]
		if s.chance(350) {
			return request{"GET " + asset + " HTTP/2.0", 304, 0, page}
		}
		return request{"GET " + asset + " HTTP/2.0", 200, s.between(800, 250_000), page}
	}
	switch n := s.below(100); {
	case n < 78:
		return request{"GET " + s.page() + " HTTP/2.0", 200, s.between(4_000, 60_000), pick(&s.random, referrers[:])}
	case n < 86:
		return request{"GET /search?q=" + pick(&s.random, words[:]) + "+" + pick(&s.random, words[:]) + "&page=$d HTTP/2.0", 200, s.between(2_000, 30_000), page}
	case n < 90:
		return request{"GET " + s.page() + "?utm_source=newsletter&utm_campaign=$d HTTP/2.0", 301, 162, ""}
	case n < 95:
		return request{"POST /comments HTTP/2.0", 302, 0, page + "articles/$d"}
	case n < 98:
		return request{"GET /old/$d.html HTTP/1.1", 404, 548, pick(&s.random, referrers[:])}
	}
	return request{"GET /account HTTP/2.0", 403, 162, page}
}

// page returns the path of a page.
func (s *scene) page() string {
	section := pick(&s.random, sections[:])
	return section + pick(&s.random, words[:]) + "-" + strconv.Itoa(s.few(2000))
}

func beginAttack(on *session, s *scene) {
	on.step, on.kind = 0, attackKinds[s.below(len(attackKinds))]
	on.agent = browsers[s.few(len(browsers))]
	if a := &assaults[on.kind]; len(a.agents) > 0 {
		on.agent = pick(&s.random, a.agents)
	}
}

// assault returns the next request of an attacker: from a list, in order for those who have one.
func assault(s *scene, on *session) request {
	a := &assaults[on.kind]
	r := a.requests[(on.index+on.step)%len(a.requests)]
	on.step++
	r.size = s.between(150, 600)
	return r
}
