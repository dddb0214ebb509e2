// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Local time, which wasi-libc takes for UTC: here it is what the variable TZ says, in POSIX's form, such as CET-1 or
// EST5EDT,M3.2.0,M11.1.0. A name of a zone (Europe/Berlin) would need files that a sandbox does not have; it means UTC, as
// does any other text that is not such a rule. Part of the library libwasi_gaps.a, which the linker reads before the C library.
#define _BSD_SOURCE // declares timegm() and tm_gmtoff
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_BYTES = 16, DAY_SECONDS = 86400, HOUR_SECONDS = 3600, MINUTE_SECONDS = 60 };

// When summer time begins or ends, in the local time before that.
struct rule {
    enum { DAY_OF_MONTH, DAY_WITHOUT_LEAP_DAY, DAY_OF_YEAR } kind;
    int month, week, day;
    int seconds;
};

struct zone {
    char name[2][NAME_BYTES]; // of standard and of summer time
    int offset[2];            // what is added to UTC, in seconds
    bool has_summer_time;
    struct rule begin, end;
};

static bool number(const char **text, int low, int high, int *value)
{
    if (!isdigit((unsigned char)**text))
        return false;
    for (*value = 0; isdigit((unsigned char)**text); (*text)++)
        if ((*value = *value * 10 + (**text - '0')) > high)
            return false;
    return *value >= low;
}

// hh[:mm[:ss]], with a sign.
static bool span(const char **text, int hours_max, int *seconds)
{
    const int sign = **text == '-' ? -1 : 1;
    int hours, minutes = 0, rest = 0;

    if (**text == '-' || **text == '+')
        (*text)++;
    if (!number(text, 0, hours_max, &hours))
        return false;
    if (**text == ':' && ((*text)++, !number(text, 0, 59, &minutes)))
        return false;
    if (**text == ':' && ((*text)++, !number(text, 0, 59, &rest)))
        return false;
    *seconds = sign * (hours * HOUR_SECONDS + minutes * MINUTE_SECONDS + rest);
    return true;
}

// Letters, or between < and > also digits and signs.
static bool name(const char **text, char result[NAME_BYTES])
{
    const bool quoted = **text == '<';
    size_t length = 0;

    *text += quoted;
    for (; isalpha((unsigned char)**text) || (quoted && **text != '\0' && strchr("0123456789+-", **text)); (*text)++)
        if (length < NAME_BYTES - 1)
            result[length++] = **text;
    result[length] = '\0';
    if (quoted && *(*text)++ != '>')
        return false;
    return length >= 3;
}

static bool rule(const char **text, struct rule *result)
{
    bool good;

    if (*(*text)++ != ',')
        return false;
    *result = (struct rule){ .seconds = 2 * HOUR_SECONDS };
    if (**text == 'M') {
        (*text)++;
        result->kind = DAY_OF_MONTH;
        good = number(text, 1, 12, &result->month) && *(*text)++ == '.' && number(text, 1, 5, &result->week) &&
               *(*text)++ == '.' && number(text, 0, 6, &result->day);
    } else if (**text == 'J') {
        (*text)++;
        result->kind = DAY_WITHOUT_LEAP_DAY;
        good = number(text, 1, 365, &result->day);
    } else {
        result->kind = DAY_OF_YEAR;
        good = number(text, 0, 365, &result->day);
    }
    if (good && **text == '/') {
        (*text)++;
        good = span(text, 167, &result->seconds);
    }
    return good;
}

static bool parse(const char *text, struct zone *zone)
{
    if (!name(&text, zone->name[0]) || !span(&text, 24, &zone->offset[0]))
        return false;
    zone->offset[0] = -zone->offset[0]; // POSIX counts towards the west
    if (*text == '\0')
        return true;
    zone->has_summer_time = true;
    if (!name(&text, zone->name[1]))
        return false;
    zone->offset[1] = zone->offset[0] + HOUR_SECONDS;
    if (*text != ',' && *text != '\0') {
        if (!span(&text, 24, &zone->offset[1]))
            return false;
        zone->offset[1] = -zone->offset[1];
    }
    if (*text == '\0')
        text = ",M3.2.0,M11.1.0"; // as in other C libraries
    return rule(&text, &zone->begin) && rule(&text, &zone->end) && *text == '\0';
}

// The names are returned to callers, so they must last as long as the zone does.
static const struct zone *current_zone(void)
{
    static const struct zone utc = { .name = { "UTC" } };
    static struct zone zone;
    static char known[64];
    const char *text = getenv("TZ");

    if (!text)
        return &utc;
    if (*text == ':')
        text++;
    if (strlen(text) >= sizeof known)
        return &utc;
    if (strcmp(text, known) != 0 || !zone.name[0][0]) {
        struct zone parsed = { 0 };
        if (!parse(text, &parsed))
            return &utc;
        zone = parsed;
        strcpy(known, text);
    }
    return &zone;
}

// The rule's moment in a year, as seconds of the local time before it.
static time_t moment(const struct rule *rule, int year)
{
    struct tm day = { .tm_year = year, .tm_mday = 1 };
    time_t start;

    if (rule->kind == DAY_OF_MONTH) {
        struct tm next = day;
        day.tm_mon = rule->month - 1;
        start = timegm(&day);
        start += ((rule->day - day.tm_wday + 7) % 7 + (rule->week - 1) * 7) * DAY_SECONDS;
        next.tm_mon = rule->month;
        if (start >= timegm(&next)) // week 5 is the last one
            start -= 7 * DAY_SECONDS;
    } else {
        start = timegm(&day) + (time_t)rule->day * DAY_SECONDS;
        if (rule->kind == DAY_WITHOUT_LEAP_DAY) {
            const int civil = year + 1900;
            const bool is_leap = civil % 4 == 0 && (civil % 100 != 0 || civil % 400 == 0);
            start -= (is_leap && rule->day >= 60 ? 0 : 1) * DAY_SECONDS;
        }
    }
    return start + rule->seconds;
}

static bool is_summer(const struct zone *zone, time_t time)
{
    const time_t standard = time + zone->offset[0];
    struct tm fields;

    if (!zone->has_summer_time || !gmtime_r(&standard, &fields))
        return false;
    const time_t begin = moment(&zone->begin, fields.tm_year) - zone->offset[0];
    const time_t end = moment(&zone->end, fields.tm_year) - zone->offset[1];
    return begin < end ? time >= begin && time < end : time >= begin || time < end;
}

struct tm *localtime_r(const time_t *restrict time, struct tm *restrict result)
{
    const struct zone *zone = current_zone();
    const bool summer = is_summer(zone, *time);
    const time_t local = *time + zone->offset[summer];

    if (!gmtime_r(&local, result))
        return NULL;
    result->tm_isdst = summer;
    result->tm_gmtoff = zone->offset[summer];
    result->tm_zone = zone->name[summer];
    return result;
}

struct tm *localtime(const time_t *time)
{
    static struct tm result;
    return localtime_r(time, &result);
}

time_t mktime(struct tm *fields)
{
    const struct zone *zone = current_zone();
    struct tm copy = *fields;
    const time_t local = timegm(&copy);
    // A time that summer time leaves out is read as standard time, one that comes twice as the first of the two.
    const bool summer = zone->has_summer_time && fields->tm_isdst != 0 &&
                        (fields->tm_isdst > 0 || is_summer(zone, local - zone->offset[1]));
    const time_t time = local - zone->offset[summer];

    return localtime_r(&time, fields) ? time : (time_t)-1;
}
