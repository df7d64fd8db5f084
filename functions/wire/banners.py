"""The words of the panel's banner (B11): the one place of them; the pages' other words are the pages' own.

Polite form throughout. In French a narrow no-break space stands before a colon.
"""

from shared.domain.notice_templates import language_of
from shared.domain.panels import Banner

BANNERS: dict[str, dict[Banner, str]] = {
    "en": {
        Banner.EMERGENCY_IN_PROGRESS: "An emergency call is in progress.",
        Banner.TEST_IN_PROGRESS: "TEST: an emergency test call is in progress.",
        Banner.CALLBACK_RINGING: "An emergency responder is calling back. Answer now.",
        Banner.HELD_AFTER_DROP: (
            "The emergency call has ended. If you were cut off, call again now. "
            "Stay at this desk and keep the line free: the responder may call you back."
        ),
        Banner.CANNOT_BE_PLACED: "This call cannot reach emergency services from here. Use another telephone now.",
        Banner.DRILL_IN_PROGRESS: (
            "DRILL: an emergency drill is being played for you. Calls work as usual; if you need help, call."
        ),
    },
    "es": {
        Banner.EMERGENCY_IN_PROGRESS: "Hay una llamada de emergencia en curso.",
        Banner.TEST_IN_PROGRESS: "PRUEBA: hay una llamada de prueba de emergencia en curso.",
        Banner.CALLBACK_RINGING: "Los servicios de emergencia le devuelven la llamada. Conteste ahora.",
        Banner.HELD_AFTER_DROP: (
            "La llamada de emergencia ha terminado. Si se cortó, vuelva a llamar ahora. "
            "Permanezca en su puesto y no ocupe la línea: pueden devolverle la llamada."
        ),
        Banner.CANNOT_BE_PLACED: ("Desde aquí esta llamada no puede llegar a emergencias. Use otro teléfono ahora."),
        Banner.DRILL_IN_PROGRESS: (
            "SIMULACRO (DRILL): se realiza un simulacro de emergencia para usted. "
            "Las llamadas funcionan como siempre; si necesita ayuda, llame."
        ),
    },
    "fr": {
        Banner.EMERGENCY_IN_PROGRESS: "Un appel d\u2019urgence est en cours.",
        Banner.TEST_IN_PROGRESS: "TEST\u202f: un appel d\u2019urgence de test est en cours.",
        Banner.CALLBACK_RINGING: "Les secours vous rappellent. Répondez maintenant.",
        Banner.HELD_AFTER_DROP: (
            "L\u2019appel d\u2019urgence est terminé. S\u2019il a été coupé, rappelez maintenant. "
            "Restez à votre poste et laissez la ligne libre\u202f: les secours peuvent vous rappeler."
        ),
        Banner.CANNOT_BE_PLACED: (
            "D\u2019ici, cet appel ne peut pas joindre les secours. Utilisez un autre téléphone maintenant."
        ),
        Banner.DRILL_IN_PROGRESS: (
            "EXERCICE (DRILL)\u202f: un exercice d\u2019urgence est en cours pour vous. "
            "Les appels fonctionnent comme toujours\u202f; s\u2019il vous faut de l\u2019aide, appelez."
        ),
    },
    "it": {
        Banner.EMERGENCY_IN_PROGRESS: "È in corso una chiamata di emergenza.",
        Banner.TEST_IN_PROGRESS: "PROVA: è in corso una chiamata di emergenza di prova.",
        Banner.CALLBACK_RINGING: "I soccorritori stanno richiamando. Risponda subito.",
        Banner.HELD_AFTER_DROP: (
            "La chiamata di emergenza è terminata. Se si è interrotta, richiami subito. "
            "Resti alla postazione e tenga libera la linea: i soccorritori potrebbero richiamare."
        ),
        Banner.CANNOT_BE_PLACED: (
            "Da qui questa chiamata non può raggiungere i soccorsi. Usi subito un altro telefono."
        ),
        Banner.DRILL_IN_PROGRESS: (
            "ESERCITAZIONE (DRILL): è in corso per Lei un\u2019esercitazione di emergenza. "
            "Le chiamate funzionano come sempre; se Le serve aiuto, chiami."
        ),
    },
}


def banner_words(banner: Banner | None, locale: str | None) -> str | None:
    """The words of a banner in the language of `locale` (BCP 47), else in English; None without a banner."""
    if banner is None:
        return None
    return BANNERS[language_of(locale)][banner]
