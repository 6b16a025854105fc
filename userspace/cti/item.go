package cti

// Item is what the service says of an address. Its methods have the names that rules use.
type Item struct {
	IP              string `json:"ip"`
	Range           string `json:"ip_range"`
	ASName          string `json:"as_name"`
	ASNumber        int    `json:"as_num"`
	ReverseDNS      string `json:"reverse_dns"`
	BackgroundNoise *int   `json:"background_noise_score"` // 0 to 10; nil: not known
	Behaviors       []Tag  `json:"behaviors"`
	AttackDetails   []Tag  `json:"attack_details"`
	Classifications struct {
		FalsePositives  []Tag `json:"false_positives"`
		Classifications []Tag `json:"classifications"`
	} `json:"classifications"`
	Scores struct {
		Overall   Score `json:"overall"`
		LastDay   Score `json:"last_day"`
		LastWeek  Score `json:"last_week"`
		LastMonth Score `json:"last_month"`
	} `json:"scores"`
}

// Tag is one property that the service knows of an address.
type Tag struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description"`
}

// Score says how bad an address was in a span of time, each part from 0 to 5.
type Score struct {
	Aggressiveness int `json:"aggressiveness"`
	Threat         int `json:"threat"`
	Trust          int `json:"trust"`
	Anomaly        int `json:"anomaly"`
	Total          int `json:"total"`
}

// communityBlocklist is the classification of addresses on the community's list.
const communityBlocklist = "community-blocklist"

// GetAttackDetails returns the names of the attacks that the address makes.
func (i *Item) GetAttackDetails() []string { return names(i.AttackDetails) }

// GetBehaviors returns the names of what the address does.
func (i *Item) GetBehaviors() []string { return names(i.Behaviors) }

// GetClassifications returns the names of the classes that the address is in.
func (i *Item) GetClassifications() []string { return names(i.Classifications.Classifications) }

// GetFalsePositives returns the names of the reasons for which the address is probably harmless.
func (i *Item) GetFalsePositives() []string { return names(i.Classifications.FalsePositives) }

// IsFalsePositive reports whether the address is probably harmless.
func (i *Item) IsFalsePositive() bool { return len(i.Classifications.FalsePositives) > 0 }

// IsPartOfCommunityBlocklist reports whether the address is on the community's list.
func (i *Item) IsPartOfCommunityBlocklist() bool {
	for _, c := range i.Classifications.Classifications {
		if c.Name == communityBlocklist {
			return true
		}
	}
	return false
}

// GetBackgroundNoiseScore returns how much of the noise of the internet is the address's, 0 to 10.
func (i *Item) GetBackgroundNoiseScore() int {
	if i.BackgroundNoise == nil {
		return 0
	}
	return *i.BackgroundNoise
}

// GetMaliciousnessScore returns how bad the address is, 0 to 1: on the community's list it is 1,
// otherwise the last day counts.
func (i *Item) GetMaliciousnessScore() float32 {
	if i.IsPartOfCommunityBlocklist() {
		return 1
	}
	return float32(max(i.Scores.LastDay.Total, 0)) / 10
}

func names(tags []Tag) []string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = t.Name
	}
	return out
}
