// This file reads telephone numbers into + and digits, as ITU-T E.164 has them. It knows calling codes, not the
// lengths of every national plan.

package rule

import (
	"strings"
)

// phone keeps a number that has a prefix (+ or 00) and gives one to a national number of a known country. Without any
// of it, or with too few or too many digits (E.164: at most 15), it is absent.
func phone(_ *run, a []any) any {
	country := ""
	if len(a) > 1 {
		country = strings.ToUpper(strings.TrimSpace(a[1].(string)))
	}
	digits, international := phoneDigits(a[0].(string))
	if digits == "" {
		return nil
	}
	if !international {
		code, ok := callingCode(country)
		if !ok {
			return nil
		}
		digits = code + national(digits, country)
	}
	if len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return nil
	}
	return "+" + digits
}

// phoneDigits takes the digits out of a number as people write it. An extension is left out; anything else but
// separators makes it no number.
func phoneDigits(s string) (digits string, international bool) {
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return "", false
	}
	s = strings.TrimPrefix(strings.ToLower(s), "tel:")
	if i := strings.IndexAny(s, "x;#e"); i > 0 {
		s = s[:i]
	}
	international = strings.HasPrefix(s, "+") || strings.HasPrefix(s, "(+") || strings.HasPrefix(s, "00")
	if international {
		s = strings.Replace(s, "(0)", "", 1)
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			b.WriteRune(c)
		case c == '+' && i <= 1, strings.ContainsRune(" -./()\u00a0\u2011", c):
		default:
			return "", false
		}
	}
	digits = b.String()
	if strings.HasPrefix(s, "00") {
		digits = digits[2:]
	}
	return digits, international
}

// national drops the prefix that is dialed inside a country only.
func national(digits, country string) string {
	switch country {
	case "IT", "SM", "VA", "CI", "GA", "CG": // the 0 is part of the number
		return digits
	case "RU", "KZ", "BY", "TM":
		if len(digits) == 11 {
			return strings.TrimPrefix(digits, "8")
		}
	case "HU":
		return strings.TrimPrefix(digits, "06")
	case "LT":
		digits = strings.TrimPrefix(digits, "8")
	}
	if code, _ := callingCode(country); code == "1" && len(digits) == 11 {
		return strings.TrimPrefix(digits, "1")
	}
	return strings.TrimPrefix(digits, "0")
}

// callingCode returns the calling code of a country by its ISO 3166-1 alpha-2 code.
func callingCode(country string) (string, bool) {
	if len(country) != 2 {
		return "", false
	}
	_, rest, ok := strings.Cut(callingCodes, " "+country)
	if !ok {
		return "", false
	}
	code, _, _ := strings.Cut(rest, " ")
	return code, true
}

// callingCodes are those that ITU-T E.164 assigns to countries.
const callingCodes = " AD376 AE971 AF93 AG1 AI1 AL355 AM374 AO244 AR54 AS1 AT43 AU61 AW297 AX358 AZ994 BA387 BB1 BD880 BE32" +
	" BF226 BG359 BH973 BI257 BJ229 BL590 BM1 BN673 BO591 BQ599 BR55 BS1 BT975 BW267 BY375 BZ501 CA1 CC61 CD243 CF236" +
	" CG242 CH41 CI225 CK682 CL56 CM237 CN86 CO57 CR506 CU53 CV238 CW599 CX61 CY357 CZ420 DE49 DJ253 DK45 DM1 DO1 DZ213" +
	" EC593 EE372 EG20 EH212 ER291 ES34 ET251 FI358 FJ679 FK500 FM691 FO298 FR33 GA241 GB44 GD1 GE995 GF594 GG44 GH233" +
	" GI350 GL299 GM220 GN224 GP590 GQ240 GR30 GT502 GU1 GW245 GY592 HK852 HN504 HR385 HT509 HU36 ID62 IE353 IL972 IM44" +
	" IN91 IO246 IQ964 IR98 IS354 IT39 JE44 JM1 JO962 JP81 KE254 KG996 KH855 KI686 KM269 KN1 KP850 KR82 KW965 KY1 KZ7" +
	" LA856 LB961 LC1 LI423 LK94 LR231 LS266 LT370 LU352 LV371 LY218 MA212 MC377 MD373 ME382 MF590 MG261 MH692 MK389" +
	" ML223 MM95 MN976 MO853 MP1 MQ596 MR222 MS1 MT356 MU230 MV960 MW265 MX52 MY60 MZ258 NA264 NC687 NE227 NF672 NG234" +
	" NI505 NL31 NO47 NP977 NR674 NU683 NZ64 OM968 PA507 PE51 PF689 PG675 PH63 PK92 PL48 PM508 PR1 PS970 PT351 PW680" +
	" PY595 QA974 RE262 RO40 RS381 RU7 RW250 SA966 SB677 SC248 SD249 SE46 SG65 SH290 SI386 SJ47 SK421 SL232 SM378 SN221" +
	" SO252 SR597 SS211 ST239 SV503 SX1 SY963 SZ268 TC1 TD235 TG228 TH66 TJ992 TK690 TL670 TM993 TN216 TO676 TR90 TT1" +
	" TV688 TW886 TZ255 UA380 UG256 US1 UY598 UZ998 VA39 VC1 VE58 VG1 VI1 VN84 VU678 WF681 WS685 XK383 YE967 YT262 ZA27" +
	" ZM260 ZW263 "
