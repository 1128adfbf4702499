#include "grade/units.h"

#include <string.h>

static const unit units[] = {
    {"degree", NULL, 1, 1, "degree degrees deg"},
    {"radian", NULL, 1, 1, "radian radians rad"},
    {"USD", NULL, 1, 1, "dollar dollars usd USD buck bucks"},
    {"USD", NULL, 1, 100, "cent cents"},
    {"EUR", NULL, 1, 1, "eur EUR euro euros"},
    {"GBP", NULL, 1, 1, "gbp GBP"},
    {"JPY", NULL, 1, 1, "jpy JPY yen"},
    {"INR", NULL, 1, 1, "inr INR rupee rupees Rs"},
    {"m", NULL, 1, 1, "m meter meters metre metres"},
    {"m", NULL, 1000, 1, "km kilometer kilometers kilometre kilometres kms"},
    {"m", NULL, 1, 10, "dm decimeter decimeters decimetre decimetres"},
    {"m", NULL, 1, 100, "cm centimeter centimeters centimetre centimetres cms"},
    {"m", NULL, 1, 1000, "mm millimeter millimeters millimetre millimetres"},
    {"m", NULL, 1, 1000000000, "nm nanometer nanometers"},
    {"m", NULL, 254, 10000, "inch inches in"},
    {"m", NULL, 3048, 10000, "ft foot feet"},
    {"m", NULL, 9144, 10000, "yd yard yards yds"},
    {"m", NULL, 1609344, 1000, "mi mile miles"},
    {"g", NULL, 1, 1, "g gram grams"},
    {"g", NULL, 1000, 1, "kg kilogram kilograms kgs"},
    {"g", NULL, 1, 1000, "mg milligram milligrams"},
    {"g", NULL, 1000000, 1, "tonne tonnes"},
    {"g", NULL, 45359237, 100000, "lb lbs pound pounds"},
    {"g", NULL, 45359237, 1600000, "oz ounce ounces"},
    {"s", NULL, 1, 1, "s sec secs second seconds"},
    {"s", NULL, 1, 1000, "ms millisecond milliseconds"},
    {"s", NULL, 60, 1, "min mins minute minutes"},
    {"s", NULL, 3600, 1, "h hr hrs hour hours"},
    {"s", NULL, 86400, 1, "day days"},
    {"s", NULL, 604800, 1, "week weeks"},
    {"month", NULL, 1, 1, "month months"},
    {"month", NULL, 12, 1, "yr yrs year years"},
    {"L", NULL, 1, 1, "l L liter liters litre litres"},
    {"L", NULL, 1, 1000, "ml mL milliliter milliliters millilitre millilitres"},
    {"gallon", NULL, 1, 1, "gal gallon gallons"},
    {"gallon", NULL, 1, 4, "quart quarts qt"},
    {"gallon", NULL, 1, 8, "pint pints pt"},
    {"gallon", NULL, 1, 16, "cup cups"},
    {"m", "s", 1609344, 3600000, "mph"},
    {"m", "s", 1000, 3600, "kph kmh"},
    {"N", NULL, 1, 1, "N newton newtons"},
    {"J", NULL, 1, 1, "J joule joules"},
    {"J", NULL, 1000, 1, "kJ"},
    {"W", NULL, 1, 1, "W watt watts"},
    {"W", NULL, 1000, 1, "kW kilowatt kilowatts"},
    {"V", NULL, 1, 1, "V volt volts"},
    {"A", NULL, 1, 1, "A amp amps"},
    {"Hz", NULL, 1, 1, "Hz hertz"},
    {"Pa", NULL, 1, 1, "Pa pascal pascals"},
    {"C", NULL, 1, 1, "C celsius Celsius"},
    {"F", NULL, 1, 1, "F fahrenheit Fahrenheit"},
    {"K", NULL, 1, 1, "K kelvin kelvins"},
    {"unit", NULL, 1, 1, "unit units"},
};

static bool names(const char *list, const char *name, size_t length) {
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, " ");
        if (n == length && memcmp(at, name, n) == 0) return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

int unit_find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (names(units[i].names, name, length)) return (int)i;
    return -1;
}

const unit *unit_at(int row) {
    return &units[row];
}

bool unit_is_money(int row) {
    static const char *const money[] = {"USD", "EUR", "GBP", "JPY", "INR"};
    for (size_t i = 0; i < sizeof money / sizeof *money; i++)
        if (strcmp(units[row].base, money[i]) == 0) return true;
    return false;
}

int unit_degree(void) {
    return 0;
}
