// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Local time by the variable TZ. The moments are what `TZ=... date` says elsewhere.
#include "../time_zone.c"

#include "check.h"

static void check_local(const char *zone, time_t moment, const char *expected)
{
    char text[64];
    struct tm fields;

    setenv("TZ", zone, 1);
    CHECK(localtime_r(&moment, &fields) == &fields);
    CHECK(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z %z", &fields) > 0);
    CHECK_TEXT(text, expected);
    // And back.
    CHECK_EQUAL(mktime(&fields), moment);
}

static time_t from_local(const char *zone, int year, int month, int day, int hour, int minute, int is_summer)
{
    struct tm fields = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_isdst = is_summer,
    };
    setenv("TZ", zone, 1);
    return mktime(&fields);
}

int main(void)
{
    static const char *const wrong[] = { "", "Europe/Berlin", "CET", "C-1", "CET-99", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0",
                                         "EST5EDT,M3.2.0,M11.1.0x", "<+03-3", "CET-1:60" };
    enum { WINTER = 1331972053, SUMMER = 1342000000 }; // 2012-03-17 08:14:13 and 2012-07-11 09:46:40, UTC
    static const char *const berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    static const char *const new_york = "EST5EDT,M3.2.0,M11.1.0";

    unsetenv("TZ");
    struct tm *fields = localtime(&(time_t){ WINTER });
    CHECK_EQUAL(fields->tm_hour, 8);
    CHECK_TEXT(fields->tm_zone, "UTC");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_local(wrong[i], WINTER, "2012-03-17 08:14:13 UTC +0000");

    check_local("UTC0", WINTER, "2012-03-17 08:14:13 UTC +0000");
    check_local("CET-1", WINTER, "2012-03-17 09:14:13 CET +0100");
    check_local("CET-1", SUMMER, "2012-07-11 10:46:40 CET +0100");
    check_local(":<+0530>-5:30", WINTER, "2012-03-17 13:44:13 +0530 +0530");
    check_local("<-03>3", WINTER, "2012-03-17 05:14:13 -03 -0300");
    check_local(berlin, WINTER, "2012-03-17 09:14:13 CET +0100");
    check_local(berlin, SUMMER, "2012-07-11 11:46:40 CEST +0200");
    check_local(new_york, WINTER, "2012-03-17 04:14:13 EDT -0400");
    check_local("EST5EDT", WINTER, "2012-03-17 04:14:13 EDT -0400");
    // The south, where the year begins in summer time.
    check_local("AEST-10AEDT,M10.1.0,M4.1.0/3", WINTER, "2012-03-17 19:14:13 AEDT +1100");
    check_local("AEST-10AEDT,M10.1.0,M4.1.0/3", SUMMER, "2012-07-11 19:46:40 AEST +1000");
    check_local("XXX0YYY,J60,J300", 1330559999, "2012-02-29 23:59:59 XXX +0000");
    check_local("XXX0YYY,J60/0,J300", 1330560000, "2012-03-01 01:00:00 YYY +0100");
    check_local("XXX0YYY,59/0,300", 1330473600, "2012-02-29 01:00:00 YYY +0100");
    // The seconds around both changes of 2012.
    check_local(berlin, 1332637199, "2012-03-25 01:59:59 CET +0100");
    check_local(berlin, 1332637200, "2012-03-25 03:00:00 CEST +0200");
    check_local(berlin, 1351385999, "2012-10-28 02:59:59 CEST +0200");
    check_local(berlin, 1351386000, "2012-10-28 02:00:00 CET +0100");

    CHECK_EQUAL(from_local(berlin, 2012, 7, 11, 11, 46, -1), SUMMER - 40);
    CHECK_EQUAL(from_local(berlin, 2012, 7, 11, 11, 46, 0), SUMMER - 40 + 3600);
    CHECK_EQUAL(from_local(berlin, 2012, 10, 28, 2, 30, -1), 1351384200); // the first of two
    CHECK_EQUAL(from_local(berlin, 2012, 3, 25, 2, 30, -1), 1332639000);  // there is none: 3:30
    CHECK_EQUAL(from_local(new_york, 2012, 14, 1, 0, 0, -1), 1359694800); // months count on into the next year
    return 0;
}
