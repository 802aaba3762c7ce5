"""Words in names of columns of personal data or free text, and given names of persons.

English, Danish, German, Polish and Spanish. They are compared without accents (`fold`), so that
`foedselsdato`, `fødselsdato` and `Fødselsdato` are equal.
"""

from __future__ import annotations

import unicodedata

_DIGRAPHS = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa", "ä": "ae", "ö": "oe", "ü": "ue"})
_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "ł": "l", "đ": "d"})


def fold(text: str) -> str:
    """Return a text in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(char for char in plain if not unicodedata.combining(char))


def _words(text: str) -> frozenset[str]:
    """Return words without accents, and with accents written as two letters."""
    listed = text.split()
    return frozenset(
        fold(spelling) for form in listed for spelling in (form, form.translate(_DIGRAPHS))
    )


#: Kind of content -> words for it; words that are separate in a name are joined here.
#: A column is of that kind whatever its values are.
SURE: dict[str, frozenset[str]] = {
    "free text": _words("""
        comment comments commentary note notes body remark remarks verbatim transcript freetext
        feedbacktext message messages messagetext messagebody subject description descriptions
        desc narrative text fulltext rawtext tweet reply replytext reviewtext content memo
        utterance chatlog summary mktterm utmterm question answer answers openanswer query
        searchquery searchterm
        searchterms searchstring keyword keywords
        kommentar kommentarer bemærkning bemærkninger notat notater fritekst tekst beskrivelse
        besked beskeder emne sagstekst søgeord søgetekst svar
        kommentare bemerkung bemerkungen notiz notizen freitext beschreibung nachricht betreff
        anmerkung anmerkungen inhalt suchbegriff
        komentarz komentarze uwagi uwaga opis treść wiadomość notatka notatki tekst temat
        comentario comentarios observacion observaciones observación mensaje descripción asunto
        texto contenido notas"""),
    "a name of a person": _words("""
        firstname lastname surname fullname givenname familyname middlename maidenname nickname
        username loginname displayname screenname login handle forename personname
        fornavn efternavn mellemnavn kundenavn brugernavn fuldenavn fuldtnavn kontaktnavn
        vorname nachname familienname kundenname benutzername ansprechpartner
        nombre nombres apellido apellidos usuario nombrecompleto
        imię imiona nazwisko imięinazwisko
        avatar avatarurl profileurl photourl linkedin skype twitterhandle signature
        spouse nextofkin beneficiary insured policyholder cardholder
        author requestername requester submitter recipient assignee assignedto salutation
        medarbejder sagsbehandler mitarbeiter sachbearbeiter empleado pracownik"""),
    "a mail address": _words("""
        email emails mail emailaddress mailaddress mailadresse emailadresse epost epostadresse
        correo correoelectronico poczta adresemail replyto"""),
    "a postal address": _words("""
        address addresses addressline addr street streetname streetaddress houseno housenumber
        zip zipcode postcode postalcode postal city cityname town village apartment
        adresse adresser adr vej vejnavn gade gadenavn husnr husnummer postnr postnummer bynavn
        postdistrikt strasse straße straßenname hausnummer hausnr anschrift plz postleitzahl
        wohnort ort stadt
        ulica adres kodpocztowy miasto miejscowość
        calle dirección domicilio códigopostal ciudad"""),
    "an address in a network": _words("""
        ip ipaddress ipaddr ipv4 ipv6 clientip remoteip userip remoteaddr remoteaddress
        mac xforwardedfor useripaddress macaddress macaddr ipadresse direccionip adresip"""),
    "a secret or token": _words("""
        token accesstoken refreshtoken sessiontoken idtoken authtoken jwt secret password passwd
        pwd passphrase apikey accesskey auth authorization bearer csrf xsrf otp cvv cvc
        authcode pin pincode resetlink magiclink credential credentials phpsessid
        jsessionid sessid sessionsecret sessioncookie
        adgangskode kodeord passwort kennwort hasło contraseña clave"""),
    "what a browser says of itself": _words("useragent ua httpuseragent browserstring"),
    "a position on the map": _words("""
        latlon latlong latlng lat latitude lon lng longitude gps gpsposition coordinates
        coords geolocation geopoint
        breddegrad længdegrad koordinater breitengrad längengrad koordinaten latitud longitud
        coordenadas szerokość długość współrzędne"""),
    "a date of birth": _words("""
        birth birthday birthdate birthyear yearofbirth dateofbirth dob birthdt born
        fødselsdag fødselsdato fødselsår født
        gebdatum geburtsdatum geburtstag geburtsjahr
        dataurodzenia urodzenia rokurodzenia
        fechanacimiento fechadenacimiento nacimiento"""),
    "a number of a person": _words("""
        ssn socialsecurity socialsecuritynumber nationalid nationalidnumber
        nationalinsurance nino passport
        passportno passportnumber passno passnr passnummer driverslicense driverlicense
        drivinglicence taxid personalid
        cpr cprnr cprnummer personnummer personnr pasnr pasnummer kørekort kørekortnummer
        steuerid steuernummer ausweisnummer personalausweis reisepass reisepassnummer
        führerschein sozialversicherungsnummer
        pesel nip dowód nrdowodu numerdowodu
        dni nie nif pasaporte curp
        plate licenseplate licenceplate numberplate nummerplade registreringsnummer kennzeichen
        matrícula tablica numerrejestracyjny vin"""),
    "what is sensitive of a person": _words("""
        gender sex religion ethnicity ethnicgroup race nationality citizenship maritalstatus
        sexualorientation disability diagnosis diagnoses diagnosiscode icd icdcode salary
        wage income annualincome householdincome
        køn etnicitet nationalitet statsborgerskab civilstand civilstatus handicap diagnose
        diagnosekode løn indkomst årsindkomst
        geschlecht konfession nationalität staatsangehörigkeit familienstand behinderung gehalt
        einkommen
        płeć wyznanie narodowość obywatelstwo stancywilny diagnoza wynagrodzenie dochód
        género sexo religión nacionalidad estadocivil discapacidad diagnóstico salario ingresos"""),
    "a number of an account or card": _words("""
        iban bban bic swift cardnumber cardno ccnumber cardlast4 last4 maskedcard
        maskedpan regnr creditcard creditcardnumber pan bankaccount
        bankaccountno accountnumber sortcode kontonummer kontonr kortnummer kortnr bankkonto
        kreditkartennummer kartennummer numerkonta nrkonta numerkarty cuenta numerodecuenta
        tarjeta"""),
    "an identity in clear": _words("""
        customerid customerno customernumber clientid userid userpseudoid pseudoid distinctid
        domainuserid networkuserid visitorid fullvisitorid anonymousid anonid memberid personid
        patientid contactid requesterid submitterid recipientid externalreference
        externaldatareference cookie cookieid deviceid idfa
        gaid aaid advertisingid imei imsi fingerprint gclid fbclid msisdn callerid subscriberid
        kundeid kundenr kundenummer medlemsnr medlemsnummer borgerid
        kundennummer kundennr kundenid mitgliedsnummer
        klientid idklienta numerklienta nrklienta
        clienteid idcliente numerocliente"""),
    "a person of the staff": _words("""
        salesrep salesperson accountmanager casemanager caseworker relationshipmanager
        createdby updatedby openedby closedby resolvedby assignedby modifiedby changedby handledby
        approvedby enteredby agentid agentname employeeid employeename operatorid operatorname
        staffid staffname adviserid advisorid"""),
}
#: The same where the values have enough digits for a phone number.
NUMBERS = _words("""
    phone phones telephone tel telefon tlf mobil mobile mobilnr mobilnummer handy handynummer
    telefonnummer telefonnr phonenumber phoneno cellphone cell msisdn fax ani callerid caller
    callingnumber callednumber callbacknumber contactnumber dialednumber diallednumber dnis
    fromnumber tonumber teléfono movil celular komórka numertelefonu
    nrtelefonu rufnummer whatsapp""")
#: The same where the values look like persons' identities, not like a few repeated words.
IDENTITIES = _words("""
    user client customer contact person member patient visitor device subscriber kunde bruger
    borger klient cliente benutzer caller sender resource""")
#: The same for staff, of whom there are few.
STAFF = _words("agent employee operator rep advisor adviser adjuster assessor handler clerk")
#: Words that mean it only as the whole name.
ALONE = {"by": "a postal address", "first": "a name of a person", "last": "a name of a person"}
#: Words that do not change the meaning of one of these after them.
BEARERS = _words("case event org trace assigned main end final primary current")
#: Words before `name` that make it a person's.
PERSONS = _words("""
    account to rep customer client user contact person member patient caller agent employee
    author sender
    recipient requester assignee manager driver assessor first last full given family middle
    display screen holder cardholder beneficiary insured policyholder owner
    kunde kundens bruger brugerens medarbejder kontakt klient klientens kunden cliente""")
NAME = _words("name names navn nazwa nombre")
#: With one of these before it a text may be a shared label: the values decide.
THINGS = _words("""
    button label link menu priority severity product item error status state category code
    event activity type service article plan
    reason result channel vare produkt fejl artikel producto błąd""")
#: Last words of names of measures and states of a text, an address or a person.
MEASURES = _words("""
    type types status state count counts n num size len length flag kind category class group
    code level opened sent verified valid provider domain lang language format score at ts time
    timestamp version source channel template campaign success failed error rate amount sum given
    preference opt optin optout consent zone tz seconds sec ms minutes total share rank bucket
    changed clicked delivered bounced model brand os
    antal længde anzahl länge liczba cantidad""")
BEGINNINGS = _words("is has had can n num count no_of number_of er har ist hat ma czy es tiene")
#: Words that may follow a name without changing its meaning.
ADDED = _words("value raw line home work private html plain")
#: Names of free text that surveys also use for codes.
CODED = frozenset(("question",))
#: Answers to a question that has two.
FLAGS = _words("true false yes no y n t f ja nej nein tak nie si 0 1 0.0 1.0")
#: Words that make the name of a text that of a key: `message_id`.
IDS = _words("id ids uuid guid key ref nr no number nummer numer")

#: Common given names; a column of persons' names has many of them.
GIVEN = _words("""
    anna anne mette kirsten hanne maria marie lene susanne inge ida emma sofie freja clara
    karen birgitte camilla pia louise charlotte tina signe julie laura lise bente jens
    peter lars michael henrik thomas søren jan christian martin niels anders morten jesper
    hans ole mads rasmus kasper magnus oliver william noah oscar lucas emil bo kim erik
    james john robert david richard joseph charles daniel matthew anthony paul steven
    andrew kenneth george joshua kevin brian edward ronald timothy jason jeffrey ryan jacob
    gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel frank
    mary patricia jennifer linda elizabeth barbara susan jessica sarah margaret lisa nancy
    betty sandra ashley emily donna michelle carol amanda melissa deborah stephanie rebecca
    sharon cynthia kathleen amy angela alice ann helen jane kate olivia sophia mia bob
    jim tom mike joe steve dave tim ben sam alex chris jack harry liam ethan
    wolfgang klaus jürgen dieter manfred uwe günter bernd stefan andreas matthias sebastian
    tobias florian markus jörg heinz horst karl felix leon lukas jonas maximilian
    ursula monika petra sabine renate helga brigitte ingrid claudia gabriele heike katrin
    katharina leonie hannah lena sophie johanna
    jan piotr andrzej krzysztof stanisław tomasz paweł józef marcin marek michał grzegorz
    jerzy tadeusz adam łukasz zbigniew ryszard dariusz henryk mariusz kazimierz wojciech
    robert mateusz jakub kamil maciej rafał
    katarzyna małgorzata agnieszka barbara krystyna ewa elżbieta zofia teresa magdalena
    joanna janina monika danuta jadwiga aleksandra halina irena beata marta dorota helena
    natalia zuzanna
    antonio josé manuel francisco juan javier carlos miguel alejandro rafael pedro pablo
    ángel sergio fernando luis jorge alberto álvaro diego adrián raúl enrique ramón vicente
    carmen josefa isabel dolores pilar ana cristina laura mercedes rosa raquel lucía elena
    concepción paula sara sofía""")
TITLES = _words("mr mrs ms miss dr prof hr fru frk herr frau pan pani sr sra srta don doña")
